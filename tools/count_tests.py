"""Prints "PASSED FAILED": the test cases of one Bazel run, read from its build event file (JSON)."""

import json
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree


def cases(events):
    for line in events:
        for output in json.loads(line).get("testResult", {}).get("testActionOutput", []):
            if output["name"] == "test.xml":
                path = urllib.request.url2pathname(urllib.parse.urlparse(output["uri"]).path)
                yield from xml.etree.ElementTree.parse(path).iter("testcase")


passed = failed = 0
with open(sys.argv[1], encoding="utf-8") as events:
    for case in cases(events):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.get("status") != "notrun" and case.get("result") != "skipped":
            passed += 1
print(passed, failed)
