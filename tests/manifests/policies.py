"""Prints a CloudFormation template of the IAM policies in a folder, which cfn-lint then checks.

Fails if the role of role.yml differs from the files of the policies and of the trusts.
"""

import json
import pathlib
import sys

import cfnlint.decode

folder = pathlib.Path(sys.argv[1])


def document(name):
    return json.loads((folder / name).read_text())


# The examples in the files, as values of the template's parameters.
EXAMPLES = {"AWS::Partition": "aws", "AWS::AccountId": "123456789012", "AWS::Region": "us-east-1", "Namespace": "jitsi",
            "ServiceAccount": "jitsi-scaler", "Cluster": "production",
            "OidcProvider": "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"}


def resolved(value, conditions):
    """A value of the template where these conditions hold."""
    if isinstance(value, list):
        return [resolved(item, conditions) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        condition, yes, no = value["Fn::If"]
        return resolved(yes if condition in conditions else no, conditions)
    if "Ref" in value:
        return EXAMPLES[value["Ref"]]
    if "Fn::Sub" in value:
        text = value["Fn::Sub"]
        for name, example in EXAMPLES.items():
            text = text.replace("${%s}" % name, example)
        assert "${" not in text, text
        return text
    return {key: resolved(item, conditions) for key, item in value.items()}


template, matches = cfnlint.decode.decode(str(folder / "role.yml"))
assert not matches, matches
role = json.loads(json.dumps(template["Resources"]["ScalerRole"]["Properties"]))
for condition, name in (("OnEc2", "trust-ec2.json"), ("WithIrsa", "trust-irsa.json"), ("", "trust-pod-identity.json")):
    trust = resolved(role["AssumeRolePolicyDocument"], [condition])
    trust = json.loads(trust) if isinstance(trust, str) else trust
    assert trust == document(name), f"role.yml trusts others than {name}: {trust}"
for policy in role["Policies"]:
    name = f"policy-{policy['PolicyName']}.json"
    assert resolved(policy["PolicyDocument"], []) == document(name), f"role.yml has other permissions than {name}"
assert len(role["Policies"]) == 2, "the policies read and write"

resources = {}
for path in sorted(folder.glob("policy-*.json")):
    properties = {"PolicyDocument": document(path.name)}
    resources[f"Policy{len(resources)}"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
for path in sorted(folder.glob("trust-*.json")):
    properties = {"AssumeRolePolicyDocument": document(path.name)}
    resources[f"Role{len(resources)}"] = {"Type": "AWS::IAM::Role", "Properties": properties}
print(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
