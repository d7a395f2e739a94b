//! Calls to Azure Resource Manager.
//!
//! Owns addresses, paging, limits and repetition: reads are repeated after a broken connection, and writes never. After an
//! answer that asks to slow down, the same address is left alone for as long as it says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::http::headers::HeaderName;
use azure_core::http::{
    ClientOptions, Context, ExponentialRetryOptions, Method, Pipeline, PipelineOptions,
    PipelineStreamOptions, Request, RetryOptions, StatusCode, Transport, Url,
};
use futures::TryStreamExt as _;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::errors::translate;
use super::tokens::Tokens;
use crate::cloud::CloudError;
use crate::telemetry::chain;

/// The version of the API of sets and machines. Protection in flexible sets needs 2023-09-01, `If-Match` 2024-03-01.
const COMPUTE: &str = "2024-07-01";
/// The version of the API of tags.
const TAGS: &str = "2021-04-01";
/// The version of the API of permissions.
const AUTHORIZATION: &str = "2022-04-01";
/// The version of the API of autoscale settings.
const INSIGHTS: &str = "2022-10-01";
/// The limit of a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);
/// The limit of a call with its repetitions, so that a tick of a minute survives it.
const CALL: Duration = Duration::from_secs(15);
/// How often a read is repeated.
const REPEATS: u32 = 2;
/// More bytes than any page of an answer has.
const LARGEST: usize = 16 << 20;
/// More pages than a resource group can fill are a mistake.
const MOST_PAGES: usize = 100;
/// How long an address is left alone where the answer does not say.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest time that an address is left alone, whatever the answer says.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");

/// An answer that is no error.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where the end of the operation shows.
    pub(super) operation: Option<Url>,
    /// When to ask next.
    pub(super) retry_after: Option<Duration>,
    /// `Null` without a body.
    pub(super) body: Value,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource<'a> {
    /// Of the compute provider in a resource group: the segments behind its name, and a query.
    Compute(&'a str, &'a [&'a str], &'a str),
    /// The tags of a set.
    Tags(&'a str, &'a str),
    /// What the identity may do with a set.
    Permissions(&'a str, &'a str),
    /// The autoscale settings of the subscription.
    Autoscale,
}

/// Azure Resource Manager, for one subscription.
#[derive(Debug)]
pub(super) struct Arm {
    endpoint: Url,
    subscription: String,
    tokens: Tokens,
    reads: Pipeline,
    writes: Pipeline,
    /// Until when addresses are left alone, by method and path.
    closed: Mutex<HashMap<(Method, String), Instant>>,
}

impl Arm {
    pub(super) fn new(endpoint: Url, subscription: &str, tokens: Tokens) -> Result<Self, reqwest::Error> {
        let client: Arc<reqwest::Client> = Arc::new(
            reqwest::Client::builder()
                .connect_timeout(CONNECT)
                .timeout(CALL)
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
        );
        let pipeline = |retry: RetryOptions| {
            let transport = Some(Transport::new(Arc::clone(&client) as Arc<_>));
            let options = ClientOptions { retry, transport, ..ClientOptions::default() };
            // Without 429: that answer has its own rule.
            let retry_status_codes = [500, 502, 503, 504].map(StatusCode::from).to_vec();
            let pipeline = PipelineOptions { retry_status_codes, ..PipelineOptions::default() };
            let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
            Pipeline::new(name, version, options, Vec::new(), Vec::new(), Some(pipeline))
        };
        let repeated = ExponentialRetryOptions { max_retries: REPEATS, ..ExponentialRetryOptions::default() };
        Ok(Self {
            endpoint,
            subscription: subscription.to_owned(),
            tokens,
            reads: pipeline(RetryOptions::exponential(repeated)),
            writes: pipeline(RetryOptions::none()),
            closed: Mutex::default(),
        })
    }

    /// The address of a resource.
    fn url(&self, resource: Resource<'_>) -> Url {
        let mut url = self.endpoint.clone();
        let (group, provider, rest, query) = match resource {
            Resource::Compute(group, rest, query) => {
                (Some(group), "Microsoft.Compute", rest, format!("api-version={COMPUTE}{query}"))
            }
            Resource::Tags(group, set) => (
                Some(group),
                "Microsoft.Compute",
                &["virtualMachineScaleSets", set, "providers", "Microsoft.Resources", "tags", "default"][..],
                format!("api-version={TAGS}"),
            ),
            Resource::Permissions(group, set) => (
                Some(group),
                "Microsoft.Compute",
                &["virtualMachineScaleSets", set, "providers", "Microsoft.Authorization", "permissions"][..],
                format!("api-version={AUTHORIZATION}"),
            ),
            Resource::Autoscale => {
                (None, "Microsoft.Insights", &["autoscalesettings"][..], format!("api-version={INSIGHTS}"))
            }
        };
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["subscriptions", &self.subscription]);
            path.extend(group.into_iter().flat_map(|group| ["resourceGroups", group]));
            path.extend(["providers", provider]).extend(rest);
        }
        url.set_query(Some(&query));
        url
    }

    /// The id of a set, as filters name it.
    pub(super) fn set_id(&self, group: &str, set: &str) -> String {
        let subscription = &self.subscription;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{set}"
        )
    }

    /// Reads a resource; `None` if there is none.
    pub(super) async fn get(
        &self,
        call: &'static str,
        resource: Resource<'_>,
    ) -> Result<Option<Value>, CloudError> {
        match self.read(call, self.url(resource)).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(CloudError::Refused { code, .. }) if is_absent(&code) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a list to its last page: a part of it would count instances as gone.
    pub(super) async fn list(
        &self,
        call: &'static str,
        resource: Resource<'_>,
    ) -> Result<Vec<Value>, CloudError> {
        let (mut found, mut next) = (Vec::new(), Some(self.url(resource)));
        for _ in 0..MOST_PAGES {
            let Some(url) = next else { return Ok(found) };
            let Value::Object(mut page) = self.read(call, url).await?.body else {
                return Err(incomplete(call));
            };
            let Some(Value::Array(items)) = page.remove("value") else { return Err(incomplete(call)) };
            found.extend(items);
            next = match page.get("nextLink").and_then(Value::as_str).filter(|link| !link.is_empty()) {
                Some(link) => Some(self.own(link).ok_or_else(|| incomplete(call))?),
                None => None,
            };
        }
        if next.is_none() {
            return Ok(found);
        }
        let message = format!("the list has more than {MOST_PAGES} pages");
        Err(CloudError::Refused { call, code: "TooManyPages".to_owned(), message })
    }

    /// Reads an address that an answer gave.
    pub(super) async fn read(&self, call: &'static str, url: Url) -> Result<Answer, CloudError> {
        self.send(call, Request::new(url, Method::Get)).await
    }

    /// Makes one attempt to change a resource; with `etag` only if it has not changed since.
    pub(super) async fn write(
        &self,
        call: &'static str,
        method: Method,
        resource: Resource<'_>,
        etag: Option<&str>,
        body: &Value,
    ) -> Result<Answer, CloudError> {
        let mut request = Request::new(self.url(resource), method);
        request.insert_header("content-type", "application/json");
        if let Some(etag) = etag {
            request.insert_header("if-match", etag.to_owned());
        }
        request.set_body(body.to_string());
        self.send(call, request).await
    }

    /// An address from an answer. `None` unless it is Azure Resource Manager's own, which alone gets the token.
    fn own(&self, address: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        (url.origin() == self.endpoint.origin()).then_some(url)
    }

    async fn send(&self, call: &'static str, mut request: Request) -> Result<Answer, CloudError> {
        let address = (request.method(), request.url().path().to_owned());
        if self.is_closed(&address) {
            return Err(CloudError::Throttled(call));
        }
        let token = self.tokens.token(call).await?;
        request.insert_header("authorization", format!("Bearer {token}"));
        let pipeline = if request.method() == Method::Get { &self.reads } else { &self.writes };
        let context = Context::new();
        let exchange = async {
            let options = PipelineStreamOptions { skip_checks: true, ..PipelineStreamOptions::default() };
            let (status, headers, mut rest) =
                pipeline.stream(&context, &mut request, Some(options)).await?.deconstruct();
            let mut body = Vec::new();
            while body.len() <= LARGEST
                && let Some(part) = rest.try_next().await?
            {
                body.extend_from_slice(&part);
            }
            Ok::<_, azure_core::Error>((u16::from(status), headers, body))
        };
        let (status, headers, body) = match timeout(CALL, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(broken(call, &error)),
            Err(_) => return Err(CloudError::Timeout(call)),
        };
        if body.len() > LARGEST {
            let message = "the answer has more than 16 MiB".to_owned();
            return Err(CloudError::Unreachable { call, message });
        }
        let header = |name: &str| headers.get_optional_string(&HeaderName::from(name.to_owned()));
        let retry_after = headers
            .get_optional_str(&RETRY_AFTER)
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        match status {
            429 => self.close(address, retry_after),
            401 => self.tokens.renew(),
            _ => {}
        }
        let kind = headers.get_optional_str(&CONTENT_TYPE).unwrap_or_default();
        if !(200..300).contains(&status) {
            return Err(translate(call, status, kind, &body));
        }
        let body = match body.as_slice() {
            [] => Value::Null,
            text => serde_json::from_slice(text).map_err(|_| translate(call, status, kind, text))?,
        };
        let operation = header("azure-asyncoperation").or_else(|| header("location"));
        Ok(Answer { status, operation: operation.and_then(|address| self.own(&address)), retry_after, body })
    }

    fn is_closed(&self, address: &(Method, String)) -> bool {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        closed.retain(|_, until| now < *until);
        closed.contains_key(address)
    }

    fn close(&self, address: (Method, String), retry_after: Option<Duration>) {
        let until = Instant::now() + retry_after.unwrap_or(PAUSE).min(LONGEST_PAUSE);
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).insert(address, until);
    }
}

/// Whether a code of Azure says that a resource is absent: a machine, a set, a rolling upgrade. An absent resource group or
/// subscription is a mistake.
fn is_absent(code: &str) -> bool {
    let is_mistake = matches!(code, "ResourceGroupNotFound" | "SubscriptionNotFound");
    (code.ends_with("NotFound") && !is_mistake) || code == "InstanceIdsListInstanceIdNotActiveVM"
}

fn incomplete(call: &'static str) -> CloudError {
    CloudError::Unreachable { call, message: "a page of the answer is incomplete".to_owned() }
}

/// The error of a request without an answer.
fn broken(call: &'static str, error: &azure_core::Error) -> CloudError {
    let causes = chain(error).replace(['\n', '\r'], " ");
    let mut sources =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    if sources.any(|error| error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)) {
        return CloudError::Timeout(call);
    }
    let message = format!("{causes}; check vmss.endpoint, the network and proxies (HTTPS_PROXY, NO_PROXY)");
    CloudError::Unreachable { call, message }
}
