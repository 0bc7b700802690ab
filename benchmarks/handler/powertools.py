"""What AWS's own library offers for it: Powertools' batch processor with an asynchronous record handler."""

import asyncio
import json

import aiohttp
from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType, async_process_partial_response

loop = asyncio.new_event_loop()
processor = AsyncBatchProcessor(event_type=EventType.SQS)
session = None


async def record_handler(record):
    global session
    if session is None:
        session = aiohttp.ClientSession(raise_for_status=True)
    message = json.loads(record.body)
    await asyncio.gather(*(sync_app(app, message["data"]) for app in message["apps"]))


async def sync_app(app, data):
    headers = {"Authorization": f"Token {app['key']}"}
    async with session.post(app["endpoint"], json=data, headers=headers, allow_redirects=False) as response:
        await response.read()


def lambda_handler(event, context):
    asyncio.set_event_loop(loop)  # Powertools takes the thread's own, and asyncio.run() of another contender closes it
    return {"statusCode": 200} | async_process_partial_response(event, record_handler, processor, context)
