//! The token endpoint of an instance's identity and that of an application, and the check of their tokens.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::ArmError;
use crate::cloud_parts::ids::Ids;

/// The audiences of Resource Manager in the public cloud.
const AUDIENCES: [&str; 2] = ["https://management.azure.com", "https://management.core.windows.net"];

#[derive(Debug, Clone)]
struct Token {
    audience: String,
    expires: f64,
}

/// The tokens that were issued.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    ids: Ids,
    lifetime: f64,
    secret: String,
    issued: BTreeMap<String, Token>,
}

impl Tokens {
    pub(super) fn new(seed: u64, lifetime: f64, secret: String) -> Self {
        Self { ids: Ids::new(seed ^ 0x746f_6b65), lifetime, secret, issued: BTreeMap::new() }
    }

    /// Lets every token expire.
    pub(super) fn expire(&mut self, now: f64) {
        self.issued.values_mut().for_each(|token| token.expires = token.expires.min(now));
    }

    fn issue(&mut self, audience: &str, now: f64) -> String {
        let text = format!("vmss-sim.{}", self.ids.uuid());
        let token =
            Token { audience: audience.trim_end_matches('/').to_owned(), expires: now + self.lifetime };
        self.issued.insert(text.clone(), token);
        text
    }

    /// The answer of the endpoint on an instance; `asks_rightly` if the request has the header that it must have.
    pub(super) fn of_instance(
        &mut self,
        resource: Option<&str>,
        asks_rightly: bool,
        now: f64,
    ) -> (u16, Value) {
        let refuse = |text: &str| (400, json!({"error": "invalid_request", "error_description": text}));
        if !asks_rightly {
            return refuse("Required metadata header not specified");
        }
        let Some(resource) = resource.filter(|it| !it.is_empty()) else {
            return refuse("Required query variable 'resource' is missing");
        };
        let token = self.issue(resource, now);
        (
            200,
            json!({
                "access_token": token,
                "client_id": "00000000-0000-4000-8000-000000000001",
                "expires_in": format!("{:.0}", self.lifetime),
                "expires_on": format!("{:.0}", now + self.lifetime),
                "ext_expires_in": format!("{:.0}", self.lifetime),
                "not_before": format!("{:.0}", now),
                "resource": resource,
                "token_type": "Bearer",
            }),
        )
    }

    /// The answer of the endpoint of a tenant.
    pub(super) fn of_tenant(&mut self, form: &[(String, String)], now: f64) -> (u16, Value) {
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let refuse = |status: u16, code: &str, text: &str| {
            (status, json!({"error": code, "error_description": text, "error_codes": [7_000_215]}))
        };
        if field("grant_type") != Some("client_credentials") {
            return refuse(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.");
        }
        let proves =
            field("client_assertion").is_some() || field("client_secret") == Some(self.secret.as_str());
        if !proves {
            return refuse(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
        }
        let Some(audience) = field("scope").and_then(|scope| scope.strip_suffix("/.default")) else {
            return refuse(400, "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid.");
        };
        let token = self.issue(audience, now);
        let lifetime = self.lifetime.round();
        (
            200,
            json!({
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": token,
            }),
        )
    }

    /// Whether a request may be answered: by its header `Authorization`, and the address of this simulator.
    pub(super) fn check(&self, authorization: Option<&str>, own: &str, now: f64) -> Result<(), ArmError> {
        let refuse = |code: &str, text: &str| Err(ArmError::new(401, code, text));
        let Some(token) = authorization.and_then(|text| text.strip_prefix("Bearer ")) else {
            return refuse(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            );
        };
        let Some(token) = self.issued.get(token) else {
            return refuse("InvalidAuthenticationToken", "The access token is invalid.");
        };
        if now >= token.expires {
            return refuse(
                "ExpiredAuthenticationToken",
                "The access token expiry is earlier than the current time.",
            );
        }
        let is_own = token.audience.eq_ignore_ascii_case(own.trim_end_matches('/'));
        if !is_own && !AUDIENCES.contains(&token.audience.as_str()) {
            return refuse(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource.",
            );
        }
        Ok(())
    }
}
