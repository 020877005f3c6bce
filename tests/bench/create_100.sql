SELECT count(*)
FROM pgqueue.create_tasks('bench',
    payloads => array_fill('{"customer": 1048576, "address": "somebody@example.org", "template": "welcome", '
        '"locale": "en_GB"}'::jsonb, ARRAY[100]));
