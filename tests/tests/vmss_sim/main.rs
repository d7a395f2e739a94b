//! `vmss-sim` as a client of Azure Resource Manager sees it.

mod scaler;

use std::time::Duration;

use jitsi_tests::vmss_sim::{
    AutoscaleSetting, Config, Fault, Meeting, Orchestration, SUBSCRIPTION, SetSpec, Unverified, VmssSim,
};
use jitsi_tests::wait::wait_until;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);
const VERSION: &str = "api-version=2024-07-01";

/// A simulator with one set of a resource group `rg`, and a client with a token.
struct Azure {
    sim: VmssSim,
    client: reqwest::Client,
    token: String,
}

impl Azure {
    async fn start(config: Config, spec: SetSpec) -> Self {
        let sim = VmssSim::start(config).await.expect("a free port");
        let wanted = spec.capacity.unwrap_or(0);
        sim.put_set("rg", "jvb", &spec).expect("a good set");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url =
            format!("{}?api-version=2018-02-01&resource=https://management.azure.com/", sim.identity_url());
        let answer = client.get(url).header("Metadata", "true").send().await.expect("an answer");
        let token: Value = answer.json().await.expect("a token");
        let token = token["access_token"].as_str().expect("a text").to_owned();
        let azure = Self { sim, client, token };
        azure.settled(wanted).await;
        azure
    }

    async fn settled(&self, count: u32) {
        let settled = async || {
            let set = self.sim.set("rg", "jvb").expect("the set");
            let runs = set.instances.iter().all(|it| it.provisioning.as_str() == "Succeeded");
            !set.updating && runs && set.instances.len() == usize::try_from(count).expect("few")
        };
        wait_until(SOON, settled).await.expect("the set settles");
    }

    fn set(&self, rest: &str) -> String {
        let group = format!("{}/subscriptions/{SUBSCRIPTION}/resourceGroups/rg", self.sim.url());
        let separator = if rest.contains('?') { '&' } else { '?' };
        format!("{group}/providers/Microsoft.Compute/virtualMachineScaleSets/jvb{rest}{separator}{VERSION}")
    }

    async fn send(&self, method: Method, url: &str, body: Option<Value>) -> Response {
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer")
    }

    async fn get(&self, url: &str) -> Value {
        self.send(Method::GET, url, None).await.json().await.expect("JSON")
    }

    async fn scale(&self, to: u32) -> Response {
        self.send(Method::PATCH, &self.set(""), Some(json!({"sku": {"capacity": to}}))).await
    }

    /// Every value of a list.
    async fn list(&self, url: &str) -> Vec<Value> {
        let (mut values, mut next) = (Vec::new(), Some(url.to_owned()));
        while let Some(url) = next {
            let page = self.get(&url.replace(' ', "%20")).await;
            values.extend(page["value"].as_array().expect("values").iter().cloned());
            next = page["nextLink"].as_str().map(str::to_owned);
        }
        values
    }
}

fn sized(capacity: u32) -> SetSpec {
    SetSpec {
        capacity: Some(capacity),
        launch_seconds: Some(0.1),
        delete_seconds: Some(0.2),
        ..SetSpec::default()
    }
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("JSON");
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_change_is_accepted_followed_and_done() {
    let azure = Azure::start(Config::default(), sized(2)).await;
    let accepted = azure.scale(3).await;
    assert_eq!((accepted.status(), header(&accepted, "retry-after")), (StatusCode::ACCEPTED, "1"));
    assert!(header(&accepted, "location").contains("/operationResults/"));
    let operation = header(&accepted, "azure-asyncoperation").to_owned();
    assert_eq!(azure.get(&operation).await["status"], "InProgress");
    azure.settled(3).await;
    assert_eq!(azure.get(&operation).await["status"], "Succeeded");

    let instances = azure.list(&azure.set("/virtualMachines?$expand=instanceView")).await;
    let states: Vec<&Value> =
        instances.iter().map(|it| &it["properties"]["instanceView"]["statuses"][1]["code"]).collect();
    assert_eq!(states, ["PowerState/running"; 3]);
    let deleted = azure.send(Method::POST, &azure.set("/delete"), Some(json!({"instanceIds": ["1"]}))).await;
    assert_eq!(deleted.status(), StatusCode::ACCEPTED);
    let leaving = azure.list(&azure.set("/virtualMachines")).await;
    assert!(leaving.iter().any(|it| it["id"] == "" && it["properties"]["provisioningState"] == "Deleting"));
    azure.settled(2).await;
    assert_eq!(azure.get(&azure.set("")).await["sku"]["capacity"], 2);
}

#[tokio::test]
async fn a_change_meets_another_one() {
    let spec = |meeting| SetSpec {
        unverified: Unverified { meeting, ..Unverified::default() },
        delete_seconds: Some(1.0),
        ..sized(2)
    };
    for meeting in [Meeting::Conflict, Meeting::Preempt] {
        let azure = Azure::start(Config::default(), spec(meeting)).await;
        let delete =
            azure.send(Method::POST, &azure.set("/delete"), Some(json!({"instanceIds": ["0"]}))).await;
        let operation = header(&delete, "azure-asyncoperation").to_owned();
        let second = azure.scale(3).await;
        if meeting == Meeting::Conflict {
            assert_eq!(code(second).await, (409, "ConflictingConcurrentWriteNotAllowed".to_owned()));
        } else {
            assert_eq!(second.status(), StatusCode::ACCEPTED);
            let told = azure.get(&operation).await;
            assert_eq!(
                (&told["status"], &told["error"]["code"]),
                (&json!("Canceled"), &json!("OperationPreempted"))
            );
            azure.settled(3).await;
        }
    }
}

#[tokio::test]
async fn lists_have_pages_with_absolute_links() {
    let azure = Azure::start(Config { page: 2, ..Config::default() }, sized(5)).await;
    assert_eq!(azure.list(&azure.set("/virtualMachines")).await.len(), 5);
    let all = format!(
        "{}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachineScaleSets?{VERSION}",
        azure.sim.url()
    );
    let sets = azure.list(&all).await;
    assert!(sets[0]["id"].as_str().expect("an id").contains("/resourceGroups/RG/"), "lists write it so");
}

#[tokio::test]
async fn a_flexible_set_shows_its_instances_as_machines() {
    let spec = SetSpec { orchestration: Orchestration::Flexible, ..sized(3) };
    let azure = Azure::start(Config { page: 2, ..Config::default() }, spec).await;
    let refused = azure.send(Method::GET, &azure.set("/instanceView"), None).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let bare = azure.list(&azure.set("/virtualMachines")).await;
    assert!(bare.iter().all(|it| it["properties"]["vmId"].is_null()));
    let machines = format!(
        "{0}/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines?{VERSION}",
        azure.sim.url()
    );
    let id = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/jvb"
    );
    let of_set = format!("{machines}&$expand=instanceView&$filter='virtualMachineScaleSet/id' eq '{id}'");
    let found = azure.list(&of_set).await;
    assert_eq!(found.len(), 3);
    assert!(
        found
            .iter()
            .all(|it| it["properties"]["instanceView"]["statuses"][1]["code"] == "PowerState/running")
    );
    let unfiltered = azure.send(Method::GET, &format!("{machines}&$expand=instanceView"), None).await;
    assert_eq!(unfiltered.status(), StatusCode::BAD_REQUEST);
    let name = found[0]["name"].as_str().expect("a name");
    azure.send(Method::POST, &azure.set("/delete"), Some(json!({"instanceIds": [name]}))).await;
    azure.settled(2).await;
}

#[tokio::test]
async fn tokens_are_checked_as_resource_manager_does() {
    let azure = Azure::start(Config::default(), sized(1)).await;
    let bare = azure.client.get(azure.set("")).send().await.expect("an answer");
    assert!(header(&bare, "www-authenticate").starts_with("Bearer "));
    assert_eq!(code(bare).await, (401, "AuthenticationFailed".to_owned()));

    let form = |secret: &str, scope: &str| {
        [("grant_type", "client_credentials"), ("client_secret", secret), ("scope", scope)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    let token_url = format!("{}/tenant/oauth2/v2.0/token", azure.sim.url());
    let ask = async |form: [(String, String); 3]| {
        azure.client.post(&token_url).form(&form).send().await.expect("an answer")
    };
    assert_eq!(ask(form("wrong", "https://management.azure.com/.default")).await.status(), 401);
    let vault: Value =
        ask(form("secret", "https://vault.azure.net/.default")).await.json().await.expect("JSON");
    let with = async |token: &str| {
        let answer = azure.client.get(azure.set("")).bearer_auth(token).send().await.expect("an answer");
        code(answer).await
    };
    let wrong = with(vault["access_token"].as_str().expect("a token")).await;
    assert_eq!(wrong, (401, "InvalidAuthenticationTokenAudience".to_owned()));
    let own: Value =
        ask(form("secret", &format!("{}/.default", azure.sim.url()))).await.json().await.expect("JSON");
    assert_eq!(with(own["access_token"].as_str().expect("a token")).await.0, 200);
    azure.sim.expire_tokens();
    assert_eq!(with(&azure.token).await, (401, "ExpiredAuthenticationToken".to_owned()));
    let no_header = azure.client.get(azure.sim.identity_url()).send().await.expect("an answer");
    assert_eq!(no_header.status(), 400);
}

#[tokio::test]
async fn tags_have_limits_and_are_merged_by_the_server() {
    let azure = Azure::start(Config::default(), sized(1)).await;
    let url = azure.set("/providers/Microsoft.Resources/tags/default");
    let change = async |operation: &str, tags: Value| {
        let body = json!({"operation": operation, "properties": {"tags": tags}});
        azure.send(Method::PATCH, &url, Some(body)).await
    };
    assert_eq!(
        code(change("Merge", json!({"jitsi-scaler/paused": "x"})).await).await.1,
        "InvalidTagNameCharacters"
    );
    assert_eq!(change("Merge", json!({"jitsi-scaler:paused": "x"})).await.status(), 200);
    assert_eq!(change("Merge", json!({"other": "y"})).await.status(), 200);
    assert_eq!(change("Delete", json!({"OTHER": "any"})).await.status(), 200);
    assert_eq!(azure.get(&url).await["properties"]["tags"], json!({"jitsi-scaler:paused": "x"}));
}

#[tokio::test]
async fn protection_is_written_for_one_instance_and_a_whole_body_leaves_the_model() {
    let azure = Azure::start(Config::default(), sized(2)).await;
    let put = async |id: &str, properties: Value| {
        let url = azure.set(&format!("/virtualMachines/{id}"));
        azure.send(Method::PUT, &url, Some(json!({"properties": properties}))).await
    };
    let policy = json!({"protectFromScaleIn": true});
    assert_eq!(put("0", json!({"protectionPolicy": policy})).await.status(), 202);
    assert_eq!(put("1", json!({"protectionPolicy": policy, "osProfile": {}})).await.status(), 202);
    assert_eq!(put("0", json!({})).await.status(), 400);
    let instances = azure.list(&azure.set("/virtualMachines")).await;
    let of = |at: usize, name: &str| instances[at]["properties"][name].clone();
    assert_eq!(of(0, "protectionPolicy")["protectFromScaleIn"], true);
    assert_eq!(
        (of(0, "modelDefinitionApplied"), of(1, "modelDefinitionApplied")),
        (json!("VirtualMachineScaleSet"), json!("VirtualMachine"))
    );
}

#[tokio::test]
async fn the_burst_of_a_set_ends_in_429_with_its_time() {
    let azure = Azure::start(Config { throttling: 1.0, ..Config::default() }, sized(1)).await;
    let mut last = azure.scale(1).await;
    assert!(header(&last, "x-ms-ratelimit-remaining-resource").contains("UpdateVMScaleSetResource;11"));
    for _ in 0..12 {
        azure.settled(1).await;
        last = azure.scale(1).await;
    }
    assert!(header(&last, "retry-after").parse::<u64>().expect("seconds") > 0);
    assert_eq!(code(last).await, (429, "OperationNotAllowed".to_owned()));
}

#[tokio::test]
async fn a_stale_etag_and_faults_are_told() {
    let azure = Azure::start(Config { lag: Duration::from_millis(400), ..Config::default() }, sized(1)).await;
    let etag = azure.get(&azure.set("")).await["etag"].as_str().expect("an etag").to_owned();
    assert_eq!(azure.scale(2).await.status(), 202);
    assert_eq!(azure.get(&azure.set("")).await["sku"]["capacity"], 1, "a read is old");
    let request = azure.client.patch(azure.set("")).bearer_auth(&azure.token).header("If-Match", etag);
    let answer = request.json(&json!({"sku": {"capacity": 3}})).send().await.expect("an answer");
    assert_eq!(code(answer).await, (412, "PreconditionFailed".to_owned()));
    azure
        .sim
        .add_fault(Fault { retry_after: Some(7), ..Fault::error("GetSet", 503, "ServiceUnavailable", 1) });
    let refused = azure.send(Method::GET, &azure.set(""), None).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (503, "7"));
    azure.sim.add_fault(Fault { shown_capacity: Some(0), times: Some(1), ..Fault::default() });
    assert_eq!(azure.get(&azure.set("")).await["sku"]["capacity"], 0);
    let calls = azure.sim.calls(true);
    assert_eq!(
        calls.iter().map(|call| call.outcome.as_str()).collect::<Vec<_>>(),
        ["202", "412 PreconditionFailed"]
    );
}

#[tokio::test]
async fn autoscale_settings_and_rolling_upgrades_are_shown() {
    let azure = Azure::start(Config::default(), sized(1)).await;
    let url = format!(
        "{}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Insights/autoscalesettings?api-version=2022-10-01",
        azure.sim.url()
    );
    assert!(azure.list(&url).await.is_empty());
    azure.sim.set_autoscale(vec![AutoscaleSetting {
        group: "monitoring".into(),
        name: "jvb-autoscale".into(),
        target_group: "rg".into(),
        target: "jvb".into(),
        enabled: true,
    }]);
    let found = azure.list(&url).await;
    let target = found[0]["properties"]["targetResourceUri"].as_str().expect("a text");
    assert!(target.ends_with("/resourceGroups/RG/providers/Microsoft.Compute/virtualMachineScaleSets/jvb"));
    let upgrade = azure.set("/rollingUpgrades/latest");
    assert_eq!(azure.send(Method::GET, &upgrade, None).await.status(), 404);
    azure
        .sim
        .with_set("rg", "jvb", |set| set.rolling_upgrade = Some("RollingForward".to_owned()))
        .expect("a set");
    assert_eq!(azure.get(&upgrade).await["properties"]["runningStatus"]["code"], "RollingForward");
}
