"""Chapter 12: right answers, and wrong ones by the key of the message that they must get (see test_answers.py)."""

q1 = {
    "right": [
        """
def announcement(registry, image_id):
    for name in registry:
        print(f"{name} is told of image {image_id}")
    if registry:
        return dict(apps=[app for app in registry.values()], data=dict(image_id=image_id))
""",
        ("logging.info", "logging.getLogger('announcements').warning", '", ".join(registry)', "sorted(registry)"),
    ],
    "wrong": {
        "key": [
            "as given",
            ('", ".join(registry)', "registry"),
            ('", ".join(registry)', "{name: app['key'][:6] for name, app in registry.items()}"),
        ],
        "silent": [
            ("    logging.info", "    str.format"),
            ("Image %s is announced to %s", "%s %.3s"),
            ('", ".join(registry)', "len(registry)"),
        ],
        "returned": [("        return None\n", "        pass\n"), ("return None", "return {}")],
        "message": [
            ('"data": {"image_id": image_id}', '"data": image_id'),
            ("list(registry.values())", "list(registry)"),
        ],
        "changed": [
            """
def announcement(registry, image_id):
    if not registry:
        return None
    apps = [dict(app) for app in registry.values()]
    for app in registry.values():
        app["key"] = "***"
    logging.info("Image %s is announced to %s", image_id, registry)
    return {"apps": apps, "data": {"image_id": image_id}}
"""
        ],
    },
}

q2 = {
    "right": [
        """
def register(registry, name, endpoint, key, old_key=None):
    import hmac

    try:
        others = {str(allowed_url(app["endpoint"])) for other, app in registry.items() if other != name}
        if str(allowed_url(endpoint)) in others:
            raise ValueError("somebody has this endpoint already")
    except EndpointRefused as error:
        raise ValueError(str(error)) from error
    known = registry.get(name, {"key": ""})["key"]
    if known and not hmac.compare_digest(known, old_key or ""):
        raise ValueError("wrong key")
    if not len(key) >= 24:
        raise ValueError("too short")
    registry.update({name: dict(endpoint=endpoint, key=key)})
""",
        (
            'allowed_url(app["endpoint"]) == url',
            "url.raw_path_qs == (other := allowed_url(app['endpoint'])).raw_path_qs and url.host == other.host",
        ),
    ],
    "wrong": {
        "same endpoint": ["as given", ('allowed_url(app["endpoint"]) == url', "app['endpoint'] == endpoint")],
        "two endpoints": [
            ('allowed_url(app["endpoint"]) == url', "app['endpoint'].lower() == endpoint.lower()"),
            ('allowed_url(app["endpoint"]) == url', "allowed_url(app['endpoint']).host == url.host"),
        ],
        "taken": [
            ('    if name in registry and registry[name]["key"] != old_key:', "    if False:"),
            ('if name in registry and registry[name]["key"] != old_key', "if name in registry and not old_key"),
            (
                'if name in registry and registry[name]["key"] != old_key',
                "if name in registry and old_key not in [app['key'] for app in registry.values()]",
            ),
        ],
        "old key": [
            ('if name in registry and registry[name]["key"] != old_key', "if name in registry"),
            ("if other != name and ", "if "),
        ],
        "key": [
            ("this is not its key", "{old_key} is not {registry[name]['key']}"),
            ("24 characters", "24 characters: {key}"),
        ],
        "changed": [
            (
                "    try:\n",
                "    registry[name] = registry.get(name, {'endpoint': '', 'key': ''})\n    try:\n",
                "name in registry and",
                "registry[name]['key'] and",
                "if other != name and",
                "if other != name and app['endpoint'] and",
            ),
            ('"key": key}', '"key": old_key or key}'),
        ],
        "error": [
            ('raise ValueError(f"{name}: the name', 'raise KeyError(f"{name}: the name'),
            ("old_key:", "old_key.strip():"),
        ],
        "refused": [("if len(key) < 24", "if len(key) < 28"), ("if len(key) < 24", "if len(key) < 4")],
    },
}

q3 = {
    "right": [
        """
def missed(result, registry):
    answer = {}
    for delivery in json.loads(result["body"]):
        if 200 <= (delivery["status"] or 0) < 300:
            continue
        for name, app in registry.items():
            if app["endpoint"] == delivery["app"]:
                answer[name] = delivery["error"]
    return answer
""",
        """
def missed(result, registry):
    errors = {delivery["app"]: delivery.get("error") for delivery in json.loads(result["body"])[::-1]}
    errors |= {delivery["app"]: delivery["error"] for delivery in json.loads(result["body"]) if "error" in delivery}
    return {name: errors[app["endpoint"]] for name, app in registry.items() if errors.get(app["endpoint"])}
""",
    ],
    "wrong": {
        "raised": [
            "as given",
            ('if delivery["app"] in names', ""),
            ('"error" in delivery', 'delivery["status"] != 200'),
        ],
        "success": [
            ('delivery["error"] for', "delivery['status'] for"),
            ('names[delivery["app"]]:', 'delivery["app"]:'),
            ("return {", "return {'Ana': 'HTTP 500'} | {"),
        ],
        "failure": [
            ('"error" in delivery', '(delivery["status"] or 0) >= 400'),
            ('"error" in delivery', 'delivery["status"] in range(400, 600)'),
            ("names}", "names and delivery['status']}"),
        ],
        "one of two": [
            """
def missed(result, registry):
    last = {delivery["app"]: delivery.get("error") for delivery in json.loads(result["body"])}
    return {name: last[app["endpoint"]] for name, app in registry.items() if last.get(app["endpoint"])}
"""
        ],
        "left": [('names[delivery["app"]]', "names.get(delivery['app'])", ' if delivery["app"] in names', "")],
    },
}

q4 = {
    "right": [
        """
def split(record):
    body, bodies = record["body"], []
    try:
        message = json.loads(body)
    except json.JSONDecodeError:
        return [body]
    if not isinstance(message, dict) or "apps" not in message:
        return [body]
    message.setdefault("id", record["messageId"])
    for message["apps"] in [[app] for app in message["apps"]]:
        bodies.append(json.dumps(message))
    return bodies
""",
        (
            "except (ValueError, AttributeError, KeyError):  # no JSON, no object, no apps",
            "except Exception:",
            "return [json",
            "return list(json",
            'for app in message["apps"]]',
            'for app in message["apps"])',
        ),
    ],
    "wrong": {
        "own id": ["as given", ('message.get("id", record["messageId"])', 'record["messageId"]')],
        "new id": [
            ('record["messageId"])', "__import__('uuid').uuid4().hex)"),
            ('record["messageId"])', 'record["receiptHandle"] + record["attributes"]["ApproximateReceiveCount"])'),
            ('record["messageId"])', "str(hash(record['body'])))"),
            ('record["messageId"])', "None)"),
            ('record["messageId"])', 'record["md5OfBody"])'),
        ],
        "strange": [
            (
                "        message_id =",
                "        if not isinstance(message, dict) or 'apps' not in message:\n"
                "            return [json.dumps(message)]\n        message_id =",
            ),
            ('return [record["body"]]', "return []"),
            ('return [record["body"]]', 'return [json.dumps({"apps": [], "body": record["body"]})]'),
        ],
        "raised": [
            ("(ValueError, AttributeError, KeyError)", "ValueError"),
            ("(ValueError, AttributeError, KeyError)", "(ValueError, KeyError)"),
            ("(ValueError, AttributeError, KeyError)", "AttributeError"),
        ],
        "apps": [
            ('"apps": [app]', '"apps": app'),
            ('for app in message["apps"]]', 'for app in message["apps"][:1]]'),
            ('"apps": [app]', '"apps": message["apps"]'),
        ],
        "data": [("**message", '"data": message["data"]')],
    },
}

q5 = {
    "right": [
        """
def join(sns, sqs, topic_arn, name):
    arn = topic_arn.replace(":sns:", ":sqs:").rpartition(":")[0] + ":" + name
    statement = dict(Effect="Allow", Principal="*", Action="sqs:SendMessage", Resource=arn)
    statement["Condition"] = {"StringEquals": {"AWS:SourceArn": [topic_arn]}}
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps({"Statement": statement})})["QueueUrl"]
    subscription = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    sns.set_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"], AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    return url
""",
        ("ArnEquals", "ArnLike", '"true"', '"True".lower()'),
    ],
    "wrong": {
        "envelope": ["as given", (", Attributes=raw)", ")")],
        "anybody": [
            ('        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},\n', ""),
            ('"aws:SourceArn": topic_arn', '"aws:SourceArn": topic_arn.rpartition(":")[0] + ":*"'),
            ("ArnEquals", "ArnNotEquals"),
            ('"aws:SourceArn"', '"aws:SourceAccount"'),
        ],
        "no policy": [('    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})\n', "")],
        "rights": [('"sqs:SendMessage"', '"sqs:*"'), ('"Resource": attributes["QueueArn"]', '"Resource": "*"')],
        "arrived": [
            ("    sns.subscribe(", "    dict("),
            ("    raw = {", '    raw = {"FilterPolicy": json.dumps({"no": ["such"]}), '),
        ],
        "returned": [("return queue_url", "return name")],
    },
}
