//! The addresses that probes may reach: networks, and domains of host names. Rules are applied to the address that is
//! connected to, so that a name cannot resolve to an address outside of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A list of rules. An address is permitted if one rule permits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList {
    rules: Vec<Rule>,
    /// The list that an address must be permitted by, too.
    within: Option<Arc<AllowList>>,
}

/// A network or a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All addresses of a network.
    Network(IpNet),
    /// The host with this name and all hosts below it, with any address.
    Suffix(String),
}

/// Why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Neither a network nor a host name.
    #[error("write a network such as 10.0.0.0/8, an address, or a domain such as .example.org")]
    Syntax,
    /// Addresses at which clouds serve metadata.
    #[error(
        "link-local addresses, and others at which clouds serve credentials, are never probed: remove this rule"
    )]
    LinkLocal,
}

/// The default rules: loopback, the private networks of RFC 1918 and unique local addresses.
const PRIVATE: [IpNet; 6] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)),
];

/// Never permitted, regardless of the rules: link-local addresses, and those at which clouds serve metadata and credentials:
/// EC2 (and its DNS and EKS), Google Cloud and Oracle Cloud in IPv6, Alibaba Cloud, and Azure's host. Sources: their
/// documentation of the instance metadata services.
const NEVER: [IpNet; 7] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0, 0), 32)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(100, 100, 100, 200), 32)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(168, 63, 129, 16), 32)),
];

impl Default for AllowList {
    fn default() -> Self {
        Self { rules: PRIVATE.map(Rule::Network).to_vec(), within: None }
    }
}

impl AllowList {
    /// A list of `rules`, or the default list if there are none.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        if rules.is_empty() { Self::default() } else { Self { rules, within: None } }
    }

    /// Those addresses of `list` that `rules` permit, or all of them if there are no rules.
    #[must_use]
    pub fn narrowed(list: &Arc<Self>, rules: Vec<Rule>) -> Arc<Self> {
        if rules.is_empty() {
            return Arc::clone(list);
        }
        Arc::new(Self { rules, within: Some(Arc::clone(list)) })
    }

    /// A list of `rules`, or loopback if there are none: the default of an exporter that has targets of its own.
    #[must_use]
    pub fn beside_targets(rules: Vec<Rule>) -> Self {
        if !rules.is_empty() {
            return Self::new(rules);
        }
        let loopback = PRIVATE.into_iter().filter(|network| network.addr().is_loopback());
        Self::new(loopback.map(Rule::Network).collect())
    }

    /// Whether `address`, which `host` resolves to, may be connected to.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        // ::ffff:169.254.169.254 is 169.254.169.254.
        let address = address.to_canonical();
        if NEVER.iter().any(|network| network.contains(&address)) {
            return false;
        }
        if self.within.as_ref().is_some_and(|list| !list.permits(host, address)) {
            return false;
        }
        self.rules.iter().any(|rule| match rule {
            Rule::Network(network) => network.contains(&address),
            Rule::Suffix(suffix) => is_below(host, suffix),
        })
    }
}

fn is_below(host: &str, suffix: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if let Ok(network) = network {
            let only_never = NEVER.iter().any(|never| never.contains(&network));
            return if only_never { Err(RuleError::LinkLocal) } else { Ok(Self::Network(network)) };
        }
        let name = text.strip_prefix("*.").unwrap_or(text).trim_matches('.').to_ascii_lowercase();
        let label = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        // A name that ends in a number is a misspelt address.
        let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if numeric || !name.split('.').all(label) {
            return Err(RuleError::Syntax);
        }
        Ok(Self::Suffix(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    fn permits(rules: &[&str], host: &str, address: &str) -> bool {
        let rules = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
        AllowList::new(rules).permits(host, address.parse().expect("an address"))
    }

    #[test_case("127.0.0.1", true ; "loopback")]
    #[test_case("10.1.2.3", true ; "ten")]
    #[test_case("172.31.255.255", true ; "the end of 172.16/12")]
    #[test_case("172.32.0.0", false ; "after 172.16/12")]
    #[test_case("192.168.0.1", true ; "192.168")]
    #[test_case("::1", true ; "loopback in v6")]
    #[test_case("fd12::1", true ; "unique local")]
    #[test_case("8.8.8.8", false ; "public")]
    #[test_case("2001:db8::1", false ; "public in v6")]
    #[test_case("169.254.169.254", false ; "metadata")]
    #[test_case("::ffff:169.254.169.254", false ; "metadata, mapped")]
    #[test_case("::ffff:10.0.0.1", true ; "ten, mapped")]
    #[test_case("fd00:ec2::254", false ; "metadata in v6")]
    #[test_case("fd00:ec2::23", false ; "credentials of EKS in v6")]
    #[test_case("fd20:ce::254", false ; "metadata of google in v6")]
    #[test_case("fd00:c1::a9fe:a9fe", false ; "metadata of oracle in v6")]
    #[test_case("fe80::1", false ; "link-local in v6")]
    #[test_case("0.0.0.0", false ; "unspecified")]
    #[test_case("64:ff9b::a9fe:a9fe", false ; "metadata through nat64")]
    fn by_default_private_networks(address: &str, expected: bool) {
        assert_eq!(permits(&[], "host", address), expected);
    }

    #[test_case(&["203.0.113.0/24"], "host", "203.0.113.9", true ; "in the network")]
    #[test_case(&["203.0.113.0/24"], "host", "10.0.0.1", false ; "the default is replaced")]
    #[test_case(&["203.0.113.9"], "host", "203.0.113.9", true ; "one address")]
    #[test_case(&["0.0.0.0/0"], "host", "169.254.169.254", false ; "metadata in a network of everything")]
    #[test_case(&["100.64.0.0/10"], "host", "100.100.100.200", false ; "metadata of alibaba")]
    #[test_case(&[".example.org"], "jvb.example.org", "203.0.113.9", true ; "below the name")]
    #[test_case(&["*.example.org"], "JVB.Example.org.", "203.0.113.9", true ; "another spelling")]
    #[test_case(&["example.org"], "example.org", "203.0.113.9", true ; "the name")]
    #[test_case(&["example.org"], "notexample.org", "203.0.113.9", false ; "a longer name")]
    #[test_case(&["example.org"], "jvb.example.org", "169.254.169.254", false ; "a name that leads to metadata")]
    fn given_rules_replace_it(rules: &[&str], host: &str, address: &str, expected: bool) {
        assert_eq!(permits(rules, host, address), expected);
    }

    #[test_case("169.254.0.0/16", RuleError::LinkLocal ; "link-local")]
    #[test_case("fe80::/64", RuleError::LinkLocal ; "link-local in v6")]
    #[test_case("10.0.0.0/33", RuleError::Syntax ; "no mask")]
    #[test_case("10.0.0.256", RuleError::Syntax ; "no address")]
    #[test_case("http://a", RuleError::Syntax ; "a URL")]
    #[test_case("", RuleError::Syntax ; "nothing")]
    fn what_is_no_rule(text: &str, expected: RuleError) {
        assert_eq!(text.parse::<Rule>(), Err(expected));
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(500))]

        #[test]
        fn no_rule_permits_what_is_never_probed(
            text in jitsi_inputs::mutated_text(vec!["0.0.0.0/0", "::/0", "169.254.0.0/16", "fd00::/8", ".example.org"]),
            host in "([a-z0-9-]{0,6}\\.){0,3}(example\\.org)?\\.?",
            low in any::<u64>(),
        ) {
            if let Ok(rule) = text.parse::<Rule>() {
                let allow = AllowList::new(vec![rule]);
                for network in NEVER {
                    let address = match network {
                        IpNet::V4(network) => {
                            let bits = u32::try_from(low & 0xffff_ffff).unwrap_or_default() & u32::from(network.hostmask());
                            IpAddr::from(Ipv4Addr::from(u32::from(network.network()) | bits))
                        }
                        IpNet::V6(network) => {
                            let bits = u128::from(low) & u128::from(network.hostmask());
                            IpAddr::from(Ipv6Addr::from(u128::from(network.network()) | bits))
                        }
                    };
                    prop_assert!(!allow.permits(&host, address), "{text} permits {address} as {host}");
                    if let IpAddr::V4(v4) = address {
                        prop_assert!(!allow.permits(&host, v4.to_ipv6_mapped().into()));
                    }
                }
            }
        }
    }
}
