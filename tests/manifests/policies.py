"""Prints a CloudFormation template of the IAM policies in a folder, which cfn-lint then checks.

Fails if the role of groups.yml differs from the files of the policies and of the trust.
"""

import json
import pathlib
import sys

import cfnlint.decode

folder = pathlib.Path(sys.argv[1])


def document(name):
    return json.loads((folder / name).read_text())


template, matches = cfnlint.decode.decode(str(folder / "groups.yml"))
assert not matches, matches
role = json.loads(json.dumps(template["Resources"]["ScalerRole"]["Properties"]))
assert role["AssumeRolePolicyDocument"] == document("trust-ec2.json"), "groups.yml trusts others than trust-ec2.json"
for policy in role["Policies"]:
    own = json.dumps(policy["PolicyDocument"]).replace('{"Fn::Sub": "arn:${AWS::Partition}', '"arn:aws')
    own = json.loads(own.replace('autoScalingGroupName/*"}', 'autoScalingGroupName/*"'))
    name = f"policy-{policy['PolicyName']}.json"
    assert own == document(name), f"groups.yml has other permissions than {name}"

resources = {}
for path in sorted(folder.glob("policy-*.json")):
    properties = {"PolicyDocument": document(path.name)}
    resources[f"Policy{len(resources)}"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
for path in sorted(folder.glob("trust-*.json")):
    properties = {"AssumeRolePolicyDocument": document(path.name)}
    resources[f"Role{len(resources)}"] = {"Type": "AWS::IAM::Role", "Properties": properties}
print(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
