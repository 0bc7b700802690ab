"""What AWS's own library offers for it: Powertools' batch processor with an asynchronous record handler.

Outside of Lambda it closes its event loop after each invocation, so no session can stay; each record opens one.
"""

import asyncio
import json

import aiohttp
from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType, async_process_partial_response

processor = AsyncBatchProcessor(event_type=EventType.SQS)


async def record_handler(record):
    message = json.loads(record.body)
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await asyncio.gather(*(sync_app(session, app, message["data"]) for app in message["apps"]))


async def sync_app(session, app, data):
    headers = {"Authorization": f"Token {app['key']}"}
    async with session.post(app["endpoint"], json=data, headers=headers, allow_redirects=False) as response:
        await response.read()


def lambda_handler(event, context):
    return {"statusCode": 200} | async_process_partial_response(event, record_handler, processor, context)
