SELECT pgqueue.create_task('bench',
    payload => '{"customer": 1048576, "address": "somebody@example.org", "template": "welcome", "locale": "en_GB"}');
