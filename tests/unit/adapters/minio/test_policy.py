import json
from typing import Any

import pytest

from wagateway.adapters.minio._policy import opens_to_anyone

READ = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "x"}


def opens(*statements: object) -> bool:
    return opens_to_anyone(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::1:root", "*"]}])
@pytest.mark.parametrize("action", ["s3:GetObject", "S3:*", ["s3:PutObject", "s3:ListBucket"], "*"])
def test_everybody_may_read(principal: object, action: object) -> None:
    assert opens(READ | {"Principal": principal, "Action": action})
    assert opens({"Effect": "Deny"}, READ | {"Principal": principal, "Action": action})


@pytest.mark.parametrize(
    "other",
    [
        {"Effect": "Deny"},
        {"Principal": {"AWS": "arn:aws:iam::1:user/ana"}},
        {"Principal": None},
        {"Action": "s3:PutObject"},
        {"Action": [7, None]},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_this_lets_in_nobody_who_is_not_named(other: dict[str, Any]) -> None:
    assert not opens(READ | other)


def test_one_statement_need_not_be_in_a_list() -> None:
    assert opens_to_anyone(json.dumps({"Statement": READ}))


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '"x"', '{"Statement": 3}', "[" * 100_000, "\ud800"]
)
def test_what_is_no_policy_opens_nothing(text: str) -> None:
    assert not opens_to_anyone(text)
