INSERT INTO plain (queue, payload)
VALUES ('bench', '{"customer": 1048576, "address": "somebody@example.org", "template": "welcome", "locale": "en_GB"}');
