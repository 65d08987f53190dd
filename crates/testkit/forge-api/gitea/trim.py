"""Take from the Swagger description of Forgejo what the fake needs.

    python3 trim.py SWAGGER        writes swagger.json beside this file

Kept are the operations below with every definition and response that they reach, as they are, without descriptions,
examples and extensions (`x-…`).
"""

import json
import pathlib
import sys

REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = [
    ("get", "/user"),
    ("get", "/orgs/{org}/labels"),
    ("get", "/orgs/{org}/teams"),
    ("get", "/teams/{id}/members/{username}"),
    ("get", REPOSITORY + "/collaborators/{collaborator}/permission"),
    ("get", REPOSITORY + "/commits/{ref}/statuses"),
    ("get", REPOSITORY + "/compare/{basehead}"),
    ("get", REPOSITORY + "/issues"),
    ("post", REPOSITORY + "/issues"),
    ("patch", REPOSITORY + "/issues/{index}"),
    ("get", REPOSITORY + "/issues/{index}/comments"),
    ("post", REPOSITORY + "/issues/{index}/comments"),
    ("post", REPOSITORY + "/issues/{index}/labels"),
    ("get", REPOSITORY + "/labels"),
    ("post", REPOSITORY + "/labels"),
    ("get", REPOSITORY + "/milestones"),
    ("get", REPOSITORY + "/pulls"),
    ("post", REPOSITORY + "/pulls"),
    ("get", REPOSITORY + "/pulls/{index}"),
    ("patch", REPOSITORY + "/pulls/{index}"),
    ("get", REPOSITORY + "/pulls/{index}/files"),
    ("post", REPOSITORY + "/pulls/{index}/merge"),
    ("delete", REPOSITORY + "/pulls/{index}/merge"),
    ("post", REPOSITORY + "/pulls/{index}/requested_reviewers"),
    ("get", REPOSITORY + "/pulls/{index}/reviews"),
    ("get", REPOSITORY + "/raw/{filepath}"),
    ("post", REPOSITORY + "/statuses/{sha}"),
]
TEXTS = {"description", "summary", "example", "tags", "operationId", "consumes", "produces", "title"}


def bare(value, is_schema_map=False):
    """Without texts. The names of properties and definitions are no texts, whatever they are."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, entry in value.items():
        if not is_schema_map and (key.startswith("x-") or (key in TEXTS and not isinstance(entry, dict))):
            continue
        kept[key] = bare(entry, key in ("properties", "definitions", "responses", "paths"))
    return kept


def reached(document, value, found):
    if isinstance(value, list):
        for item in value:
            reached(document, item, found)
    elif isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str) and target not in found:
            _, section, name = target.split("/")
            found[target] = (section, name)
            reached(document, document[section][name], found)
        for entry in value.values():
            reached(document, entry, found)


def main():
    document = bare(json.load(open(sys.argv[1])))
    paths = {}
    for method, path in OPERATIONS:
        paths.setdefault(path, {})[method] = document["paths"][path][method]
    found = {}
    reached(document, paths, found)
    excerpt = {"swagger": "2.0", "basePath": document["basePath"], "paths": paths, "responses": {}, "definitions": {}}
    for section, name in sorted(found.values()):
        excerpt[section][name] = document[section][name]
    target = pathlib.Path(__file__).with_name("swagger.json")
    target.write_text(json.dumps(excerpt, indent=1, sort_keys=True) + "\n")


main()
