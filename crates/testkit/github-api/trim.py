#!/usr/bin/env python3
"""Cut what Tagboat uses out of GitHub's published descriptions.

    python3 trim.py OPENAPI WEBHOOKS GRAPHQL

Each argument is the folder of an unpacked npm package: @octokit/openapi, @octokit/openapi-webhooks and
@octokit/graphql-schema. Writes openapi.json, webhooks.json and schema.graphql next to itself. Schemas are kept as
they are; examples, descriptions and extensions are left out. Python 3, nothing else.
"""

import json
import pathlib
import re
import sys

REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = [
    "GET /app",
    "GET /app/installations",
    "GET /app/installations/{installation_id}",
    "POST /app/installations/{installation_id}/access_tokens",
    "GET /installation/repositories",
    "GET /app/hook/deliveries",
    "GET /app/hook/deliveries/{delivery_id}",
    "POST /app/hook/deliveries/{delivery_id}/attempts",
    "POST /app-manifests/{code}/conversions",
    "GET /user/{account_id}",
    "GET /users/{username}",
    "GET /orgs/{org}/teams/{team_slug}/memberships/{username}",
    "GET /rate_limit",
    "GET " + REPOSITORY,
] + [
    method + " " + REPOSITORY + path
    for methods, path in [
        ("GET", "/installation"),
        ("GET", "/branches/{branch}"),
        ("GET", "/git/ref/{ref}"),
        ("GET", "/git/matching-refs/{ref}"),
        ("POST", "/git/refs"),
        ("PATCH DELETE", "/git/refs/{ref}"),
        ("POST", "/git/blobs"),
        ("POST", "/git/trees"),
        ("GET", "/git/trees/{tree_sha}"),
        ("POST", "/git/commits"),
        ("GET", "/git/commits/{commit_sha}"),
        ("GET", "/commits/{ref}"),
        ("GET", "/compare/{basehead}"),
        ("GET POST", "/pulls"),
        ("GET PATCH", "/pulls/{pull_number}"),
        ("PUT", "/pulls/{pull_number}/merge"),
        ("GET", "/pulls/{pull_number}/commits"),
        ("GET", "/pulls/{pull_number}/files"),
        ("GET", "/pulls/{pull_number}/reviews"),
        ("POST", "/pulls/{pull_number}/requested_reviewers"),
        ("GET POST", "/issues"),
        ("GET PATCH", "/issues/{issue_number}"),
        ("POST", "/issues/{issue_number}/labels"),
        ("POST", "/issues/{issue_number}/assignees"),
        ("GET POST", "/issues/{issue_number}/comments"),
        ("PATCH DELETE", "/issues/comments/{comment_id}"),
        ("POST", "/issues/comments/{comment_id}/reactions"),
        ("GET", "/milestones"),
        ("GET", "/commits/{ref}/status"),
        ("GET", "/commits/{ref}/statuses"),
        ("POST", "/statuses/{sha}"),
        ("GET", "/commits/{ref}/check-runs"),
        ("POST", "/check-runs"),
        ("PATCH", "/check-runs/{check_run_id}"),
        ("GET", "/collaborators/{username}/permission"),
        ("GET", "/contents/{path}"),
    ]
    for method in methods.split()
]

EVENTS = (
    ["ping", "push", "status", "create", "delete"]
    + ["installation-" + action for action in "created deleted suspend unsuspend".split()]
    + ["installation-repositories-added", "installation-repositories-removed"]
    + ["issue-comment-" + action for action in "created edited deleted".split()]
    + ["issues-" + action for action in "opened edited closed reopened labeled".split()]
    + ["pull-request-review-submitted", "check-run-created", "check-run-completed"]
    + [
        "pull-request-" + action
        for action in (
            "opened edited closed reopened synchronize labeled ready-for-review converted-to-draft "
            "auto-merge-enabled auto-merge-disabled enqueued dequeued review-requested"
        ).split()
    ]
)

# The fields of GraphQL types. Input types, enumerations and scalars that they reach are taken whole.
FIELDS = {
    "Query": "repository rateLimit",
    "Mutation": "createCommitOnBranch updateRefs enablePullRequestAutoMerge disablePullRequestAutoMerge "
    "markPullRequestReadyForReview convertPullRequestToDraft",
    "Repository": "id databaseId nameWithOwner pullRequest",
    "PullRequest": "id number title isDraft isInMergeQueue autoMergeRequest mergeQueueEntry reviewDecision headRefOid "
    "headRefName baseRefName merged mergeable state",
    "AutoMergeRequest": "enabledAt mergeMethod",
    "MergeQueueEntry": "id position state",
    "RateLimit": "limit cost remaining resetAt",
    "Commit": "id oid abbreviatedOid url",
    "Ref": "id name prefix",
    "CreateCommitOnBranchPayload": "clientMutationId commit ref",
    "UpdateRefsPayload": "clientMutationId",
    "EnablePullRequestAutoMergePayload": "clientMutationId pullRequest",
    "DisablePullRequestAutoMergePayload": "clientMutationId pullRequest",
    "MarkPullRequestReadyForReviewPayload": "clientMutationId pullRequest",
    "ConvertPullRequestToDraftPayload": "clientMutationId pullRequest",
}

LEFT_OUT = {"description", "example", "examples", "externalDocs", "tags", "summary", "operationId", "title", "deprecated"}
# Their keys are names that somebody chose, not keywords.
OF_NAMES = {"properties", "schemas", "parameters", "responses", "headers", "patternProperties", "paths", "webhooks", "content"}


def stripped(value, names=False):
    """The same without what only people read."""
    if isinstance(value, list):
        return [stripped(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if not names and (key in LEFT_OUT or key.startswith("x-")):
            continue
        if key in ("enum", "default", "required", "const"):
            kept[key] = item
        else:
            kept[key] = stripped(item, names=not names and key in OF_NAMES and isinstance(item, dict))
    return kept


def references(value):
    """Every `$ref` in it."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def components_of(document, start):
    """The components that it reaches."""
    components, waiting = {}, list(references(start))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = stripped(document["components"][kind][name])
            waiting += references(components[kind][name])
    return {kind: dict(sorted(entries.items())) for kind, entries in sorted(components.items())}


def only_json(operation):
    """Bodies in other forms than JSON are not used. Lists of `content` in one form lose nothing."""
    for part in [operation.get("requestBody", {})] + list(operation.get("responses", {}).values()):
        content = part.get("content")
        if content and "application/json" in content:
            part["content"] = {"application/json": content["application/json"]}
    return operation


def openapi(document):
    paths = {}
    for operation in OPERATIONS:
        method, path = operation.split(" ")
        description = only_json(stripped(document["paths"][path][method.lower()]))
        paths.setdefault(path, {})[method.lower()] = description
    info = {"title": document["info"]["title"], "version": document["info"]["version"]}
    return {"openapi": document["openapi"], "info": info, "paths": paths, "components": components_of(document, paths)}


def webhooks(document):
    hooks = {}
    for event in EVENTS:
        body = document["webhooks"][event]["post"]["requestBody"]["content"]["application/json"]["schema"]
        hooks[event] = stripped(body)
    info = {"title": document["info"]["title"], "version": document["info"]["version"]}
    return {"openapi": document["openapi"], "info": info, "webhooks": hooks, "components": components_of(document, hooks)}


def definitions(text):
    """Name -> (head, body) of every definition of the schema, without descriptions."""
    text = re.sub(r'"""(?:.|\n)*?"""', "", text)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    found = {}
    for match in re.finditer(r"^(scalar|type|interface|union|enum|input)\s+(\w+)([^{\n]*)(\{(?:.|\n)*?^\})?", text, re.MULTILINE):
        kind, name, rest, body = match.groups()
        found[name] = (kind, rest, body or "")
    return found


def fields(body):
    """Name -> text of the fields in a body, whose arguments may span lines."""
    flat = re.sub(r"\s+", " ", re.sub(r"@\w+(\([^)]*\))?", "", body.strip()[1:-1]))
    found = {}
    for match in re.finditer(r"(\w+) ?(\([^)]*\))? ?: ?([\[\]!\w]+)( ?= ?[\w\"\[\]{}]+)?", flat):
        name, arguments, kind, default = match.groups()
        arguments = re.sub(r"\( | \)", lambda found: found.group().strip(), arguments or "")
        arguments = re.sub(r"(?<=[!\]\w}\"]) (?=\w+:)", ", ", arguments)
        found[name] = f"{name}{arguments}: {kind}{default or ''}"
    return found


def graphql(text):
    known, kept, waiting = definitions(text), {}, []
    scalars = {"Int", "Float", "String", "Boolean", "ID"}
    for name, wanted in FIELDS.items():
        available = fields(known[name][2])
        lines = [available[field] for field in wanted.split()]
        kept[name] = f"type {name} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
        waiting += re.findall(r"\w+", " ".join(re.sub(r"(\w+)(?=:)", "", line) for line in lines))
    while waiting:
        name = waiting.pop()
        if name in kept or name in scalars or name not in known:
            continue
        kind, _, body = known[name]
        if kind == "scalar":
            kept[name] = f"scalar {name}\n"
        elif kind == "enum":
            values = re.findall(r"^\s+(\w+)", re.sub(r"@\w+(\([^)]*\))?", "", body), re.MULTILINE)
            kept[name] = f"enum {name} {{\n" + "".join(f"  {value}\n" for value in values) + "}\n"
        elif kind == "input":
            lines = fields(body)
            kept[name] = f"input {name} {{\n" + "".join(f"  {line}\n" for line in lines.values()) + "}\n"
            waiting += re.findall(r"\w+", " ".join(re.sub(r"(\w+)(?=:)", "", line) for line in lines.values()))
        else:
            raise SystemExit(f"{kind} {name} is reached, but FIELDS does not say which of its fields are used")
    return "".join(kept[name] + "\n" for name in sorted(kept)).rstrip("\n") + "\n"


def main():
    here = pathlib.Path(__file__).resolve().parent
    rest, hooks, graph = (pathlib.Path(argument) for argument in sys.argv[1:4])
    for name, cut, source in [("openapi.json", openapi, rest), ("webhooks.json", webhooks, hooks)]:
        document = json.loads((source / "generated" / "api.github.com.json").read_text())
        (here / name).write_text(json.dumps(cut(document), separators=(",", ":")).replace('"},"', '"},\n"') + "\n")
    (here / "schema.graphql").write_text(graphql((graph / "schema.graphql").read_text()))


if __name__ == "__main__":
    main()
