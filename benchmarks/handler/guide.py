"""The guide's function: a new event loop and a new session for each invocation."""

import asyncio
import json
import logging

import aiohttp

logger = logging.getLogger("guide")


async def sync_app(session, endpoint, headers, data):
    async with session.post(endpoint, json=data, headers=headers) as response:
        return await response.json()


async def sync_all_app(event):
    async with aiohttp.ClientSession() as session:
        tasks = []
        for record in event["Records"]:
            body = json.loads(record["body"])
            for app in body["apps"]:
                headers = {"Authorization": f"Token {app['key']}"}
                tasks.append(sync_app(session, app["endpoint"], headers, body["data"]))
        return await asyncio.gather(*tasks)


def lambda_handler(event, context):
    responses = asyncio.run(sync_all_app(event))
    logger.info("Responses: %s", responses)
    return {"statusCode": 200, "body": json.dumps(responses)}
