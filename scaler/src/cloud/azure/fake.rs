//! Azure Resource Manager on loopback, for the tests of this folder: sets, machines, tags and operations, whose answers
//! have the shapes of Azure's examples.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use serde_json::{Value, json};
use url::Url;

use super::Azure;
use super::tokens::Tokens;
use crate::cloud::{Change, CloudError, GroupDescription, Permitted, ScalingGroups as _};
use crate::config::Groups;
use crate::leader::Lead;
use crate::units::{GroupName, InstanceId, Region};

/// How many items a page has.
const PAGE: usize = 2;
const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Behind the resource group, with its query.
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) if_match: Option<String>,
    pub(super) token: Option<String>,
}

/// An answer that is given in place of the usual one.
pub(super) struct Reply {
    /// Which request gets it: a method and a part of its path.
    pub(super) to: (&'static str, &'static str),
    pub(super) status: u16,
    pub(super) retry_after: u32,
    pub(super) body: Value,
}

/// A machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) number: String,
    pub(super) vm_id: String,
    pub(super) state: &'static str,
    pub(super) protected: bool,
}

/// A set and its machines, named `SET_NUMBER`.
#[derive(Clone, Debug)]
pub(super) struct FakeSet {
    pub(super) capacity: u32,
    /// What answers say in place of the capacity: they lag.
    pub(super) shown: Option<u32>,
    pub(super) etag: u32,
    pub(super) flexible: bool,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) machines: Vec<Machine>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) sets: BTreeMap<String, FakeSet>,
    pub(super) log: Vec<Asked>,
    pub(super) replies: VecDeque<Reply>,
    /// How the next operations end; the others succeed.
    pub(super) ends: VecDeque<Value>,
    /// Whether operations go on.
    pub(super) is_held: bool,
    operations: Vec<Value>,
    /// Deletions whose operations have not been asked for: what a failure gives back.
    deleting: BTreeMap<usize, (String, String)>,
    address: String,
    pub(super) autoscale: Vec<Value>,
}

impl World {
    fn item(name: &str, set: &FakeSet) -> Value {
        let mode = if set.flexible { "Flexible" } else { "Uniform" };
        json!({"id": "/x", "name": name, "location": "westeurope", "tags": set.tags, "etag": format!("\"{}\"", set.etag),
            "sku": {"name": "Standard_D2s_v3", "capacity": set.shown.unwrap_or(set.capacity)}, "zones": ["1", "2"],
            "properties": {"provisioningState": "Succeeded", "orchestrationMode": mode, "overprovision": false}})
    }

    fn machine(name: &str, flexible: bool, machine: &Machine) -> Value {
        let power =
            if machine.state == "Creating" { json!([]) } else { json!([{"code": "PowerState/running"}]) };
        let mut item = json!({"id": "/y", "name": format!("{name}_{}", machine.number), "zones": ["1"], "properties": {
            "vmId": machine.vm_id, "provisioningState": machine.state, "timeCreated": "2026-11-20T07:00:00.123+00:00",
            "protectionPolicy": {"protectFromScaleSetActions": machine.protected},
            "instanceView": {"statuses": power}}});
        if !flexible {
            item["instanceId"] = json!(machine.number);
        }
        item
    }

    fn page(&self, path: &str, items: Vec<Value>) -> Value {
        let (path, skip) =
            path.split_once("&skip=").map_or((path, 0), |(path, skip)| (path, skip.parse().unwrap_or(0)));
        let more = items.len() > skip + PAGE;
        let mut page = json!({"value": items.into_iter().skip(skip).take(PAGE).collect::<Vec<_>>()});
        if more {
            page["nextLink"] = json!(format!("{}{path}&skip={}", self.address, skip + PAGE));
        }
        page
    }

    fn accept(&mut self, status: u16) -> (u16, Value) {
        let end = self.ends.pop_front().unwrap_or_else(|| json!({"status": "Succeeded"}));
        self.operations.push(end);
        (status, Value::Null)
    }

    /// The answer to a request whose path begins behind the resource group.
    fn answer(&mut self, asked: &Asked, whole: &str) -> (u16, Value) {
        let missing = (404, json!({"error": {"code": "ResourceNotFound", "message": "it is gone"}}));
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["operations", number]) => {
                let number: usize = number.parse().expect("a number");
                if self.is_held {
                    return (200, json!({"status": "InProgress"}));
                }
                let end = self.operations[number].clone();
                if let Some((set, machine)) = self.deleting.remove(&number) {
                    let set = self.sets.get_mut(&set).expect("a set");
                    if end["status"] == "Succeeded" {
                        set.machines.retain(|it| it.number != machine);
                    } else {
                        set.capacity += 1;
                        set.machines
                            .iter_mut()
                            .filter(|it| it.number == machine)
                            .for_each(|it| it.state = "Succeeded");
                    }
                }
                (200, end)
            }
            ("GET", ["virtualMachineScaleSets"]) => {
                let items = self.sets.iter().map(|(name, set)| Self::item(name, set)).collect();
                (200, self.page(whole, items))
            }
            ("GET", ["virtualMachines"]) => {
                let (name, set) = self.sets.iter().find(|(_, set)| set.flexible).expect("a flexible set");
                assert!(query.contains(&format!("virtualMachineScaleSets/{name}'")), "{query}");
                let items = set.machines.iter().map(|it| Self::machine(name, true, it)).collect();
                (200, self.page(whole, items))
            }
            ("GET", ["virtualMachines", machine]) => {
                let (name, number) = machine.split_once('_').expect("a name");
                let found =
                    self.sets.get(name).and_then(|set| set.machines.iter().find(|it| it.number == number));
                found.map_or(missing, |it| (200, Self::machine(name, true, it)))
            }
            ("GET", ["autoscalesettings"]) => (200, json!({"value": self.autoscale})),
            (_, ["virtualMachineScaleSets", name, rest @ ..]) => self.answer_of(name, rest, asked, whole),
            _ => missing,
        }
    }

    /// The answer about a set, or what it has.
    fn answer_of(&mut self, name: &str, rest: &[&str], asked: &Asked, whole: &str) -> (u16, Value) {
        let missing = (404, json!({"error": {"code": "ResourceNotFound", "message": "it is gone"}}));
        let name = name.to_owned();
        let number = self.operations.len();
        let Some(set) = self.sets.get_mut(&name) else { return missing };
        match (asked.method.as_str(), rest) {
            ("GET", []) => (200, Self::item(&name, set)),
            ("PATCH", []) => {
                if asked.if_match.as_ref().is_some_and(|tag| *tag != format!("\"{}\"", set.etag)) {
                    return (412, json!({"error": {"code": "PreconditionFailed", "message": "it changed"}}));
                }
                let to =
                    u32::try_from(asked.body["sku"]["capacity"].as_u64().expect("a number")).expect("small");
                set.capacity = to;
                set.etag += 1;
                self.accept(200)
            }
            ("POST", ["delete"]) => {
                let numbers = asked.body["instanceIds"].as_array().expect("numbers");
                let [number_of] = numbers.as_slice() else { panic!("one machine: {numbers:?}") };
                // A flexible set takes names.
                let given =
                    number_of.as_str().expect("a text").trim_start_matches(&format!("{name}_")).to_owned();
                set.capacity -= 1;
                set.machines.iter_mut().filter(|it| it.number == given).for_each(|it| it.state = "Deleting");
                self.deleting.insert(number, (name, given));
                self.accept(202)
            }
            ("GET", ["virtualMachines"]) => {
                let items = set.machines.iter().map(|it| Self::machine(&name, false, it)).collect();
                (200, self.page(whole, items))
            }
            ("GET", ["virtualMachines", number]) => {
                let found = set.machines.iter().find(|it| it.number == *number);
                found.map_or(missing, |it| (200, Self::machine(&name, false, it)))
            }
            ("PUT", ["virtualMachines", number]) => {
                let policy = &asked.body["properties"]["protectionPolicy"];
                let protected =
                    policy["protectFromScaleSetActions"] == true && policy["protectFromScaleIn"] == true;
                set.machines
                    .iter_mut()
                    .filter(|it| it.number == *number)
                    .for_each(|it| it.protected = protected);
                (200, json!({}))
            }
            ("PATCH", ["providers", "Microsoft.Resources", "tags", "default"]) => {
                let tags = asked.body["properties"]["tags"].as_object().expect("tags");
                for (key, value) in tags {
                    assert!(!key.contains(['<', '>', '%', '&', '\\', '?', '/']), "{key}");
                    let value = value.as_str().expect("a text").to_owned();
                    match asked.body["operation"].as_str() {
                        Some("Merge") => drop(set.tags.insert(key.clone(), value)),
                        Some("Delete") => drop(set.tags.remove(key)),
                        other => panic!("{other:?}"),
                    }
                }
                (200, json!({}))
            }
            _ => missing,
        }
    }
}

/// The fake, and a client of it.
pub(super) struct Fake {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) azure: Azure,
    pub(super) region: Region,
}

fn clock() -> Duration {
    Duration::from_secs(1_795_000_000)
}

pub(super) fn machines(numbers: &[&str]) -> Vec<Machine> {
    let machine = |number: &&str| Machine {
        number: (*number).to_owned(),
        vm_id: format!("vm-{number}"),
        state: "Succeeded",
        protected: false,
    };
    numbers.iter().map(machine).collect()
}

impl Fake {
    /// One set `jvb` with machines of these numbers.
    pub(super) async fn with(numbers: &[&str]) -> Self {
        Self::led(numbers, Lead::always()).await
    }

    /// The same for a scaler of this term.
    pub(super) async fn led(numbers: &[&str], lead: Lead) -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::clone(&world);
        let serve = move |request: Request<Body>| answer(Arc::clone(&shared), request);
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(serve)).await });
        let endpoint: Url = address.parse().expect("an address");
        let azure =
            Azure::with(&endpoint, SUBSCRIPTION, Tokens::fixed("token"), (lead, clock)).expect("a client");
        let fake = Self { world, azure, region: Region::new("jitsi") };
        let capacity = u32::try_from(numbers.len()).expect("few");
        let machines = machines(numbers);
        let set =
            FakeSet { capacity, shown: None, etag: 1, flexible: false, tags: BTreeMap::new(), machines };
        fake.change(|world| {
            world.address = address;
            world.sets.insert("jvb".to_owned(), set);
        });
        fake
    }

    pub(super) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change to the set.
    pub(super) async fn apply(&self, change: Change<'_>) -> Result<(), CloudError> {
        let group = GroupName::new("jvb");
        self.azure.apply(Permitted { region: &self.region, group: &group, change }).await
    }

    pub(super) async fn describe(&self) -> Result<GroupDescription, CloudError> {
        let groups = Groups::Names(vec![GroupName::new("jvb")]);
        let mut found = self.azure.describe(&self.region, &groups).await?;
        Ok(found.pop().expect("the set"))
    }

    /// The lifecycle of a machine.
    pub(super) async fn lifecycle(&self, id: &str) -> Option<String> {
        let found = self.describe().await.expect("described");
        found.instances.into_iter().find(|it| it.id == InstanceId::new(id)).map(|it| it.lifecycle)
    }

    /// The requests of this method so far.
    pub(super) fn asked(&self, method: &str) -> Vec<Asked> {
        self.change(|world| world.log.iter().filter(|it| it.method == method).cloned().collect())
    }

    /// Waits until `is_so`.
    pub(super) async fn until(&self, is_so: impl Fn(&World) -> bool) {
        for _ in 0..500 {
            if self.change(|world| is_so(world)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come about: {:#?}", self.change(|world| world.log.clone()));
    }

    /// Waits until no operation runs.
    pub(super) async fn settled(&self) {
        let group = GroupName::new("jvb");
        for _ in 0..500 {
            let running = self.azure.sets.remember(&self.region, &group, |memory| memory.running());
            if running.is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("an operation goes on");
    }
}

async fn answer(world: Arc<Mutex<World>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let header = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
    let (if_match, token) = (header("if-match"), header("authorization"));
    let (method, whole) =
        (head.method.to_string(), head.uri.to_string().replace("%27", "'").replace("%20", " "));
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let path = whole
        .rsplit_once("/Microsoft.Compute/virtualMachineScaleSets/")
        .filter(|(before, _)| !before.contains('?'));
    let path = match path {
        Some((_, rest)) => format!("virtualMachineScaleSets/{rest}"),
        None => {
            let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
            let rest = path.split_once("/providers/Microsoft.").map_or(path, |(_, rest)| rest);
            let rest = rest.split_once('/').map_or(rest, |(_, rest)| rest);
            format!("{rest}?{query}")
        }
    };
    let asked = Asked { method, path, body, if_match, token };
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    world.log.push(asked.clone());
    let meant = world.replies.iter().position(|it| it.to.0 == asked.method && asked.path.contains(it.to.1));
    let mut answer = Response::builder().header("content-type", "application/json");
    let (status, body) = match meant.and_then(|at| world.replies.remove(at)) {
        Some(reply) => {
            answer = answer.header("retry-after", reply.retry_after);
            (reply.status, reply.body)
        }
        None => {
            let before = world.operations.len();
            let (status, body) = world.answer(&asked, &whole);
            if world.operations.len() > before {
                answer = answer.header(
                    "azure-asyncoperation",
                    format!("{}/operations/{before}?api-version=1", world.address),
                );
            }
            answer = answer.header("retry-after", 0);
            (status, body)
        }
    };
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    answer.status(status).body(body).expect("an answer")
}
