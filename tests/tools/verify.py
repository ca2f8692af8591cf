"""Verifies one delivery with the Python library of Standard Webhooks.

Reads {"secret", "headers", "body"} as JSON and ends with 0 where the signature is good.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook

given = json.load(sys.stdin)
Webhook(given["secret"]).verify(given["body"], given["headers"])
