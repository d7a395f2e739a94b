use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;
use test_case::test_case;

const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
const PAIR: &str = "tls_server_config:\n  cert_file: c.pem\n  key_file: /k.pem\n";

fn parsed(text: &str) -> Settings {
    parse(text, Path::new("/etc/web")).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn refused(text: &str) -> String {
    let problems = parse(text, Path::new("/etc/web")).map(|_| ()).expect_err("a mistake");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn tls(more: &str) -> TlsSettings {
    parsed(&format!("{PAIR}{more}")).tls.expect("TLS")
}

fn suites(settings: &TlsSettings) -> Vec<String> {
    settings.suites.iter().map(|suite| format!("{:?}", suite.suite())).collect()
}

#[test_case("" ; "empty")]
#[test_case("# nothing\n" ; "a comment")]
#[test_case("null" ; "null")]
#[test_case("tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n" ; "empty sections")]
#[test_case("rate_limit: {interval: 0, burst: 0}" ; "a limit that is off")]
fn what_says_nothing_sets_nothing(text: &str) {
    let settings = parsed(text);
    assert!(settings.tls.is_none() && settings.rate.is_none());
    assert!(settings.users.is_empty() && settings.headers.is_empty());
    assert_eq!(settings.warnings, ["it sets nothing: no users, no TLS"]);
}

#[test]
fn the_defaults_are_exporter_toolkit_s() {
    let settings = tls("");
    assert!(matches!(&settings.cert.place, Place::File(path) if path == Path::new("/etc/web/c.pem")));
    assert!(matches!(&settings.key.place, Place::File(path) if path == Path::new("/k.pem")));
    let versions: Vec<_> = settings.versions.iter().map(|version| version.version).collect();
    assert_eq!(versions, [rustls::ProtocolVersion::TLSv1_3, rustls::ProtocolVersion::TLSv1_2]);
    assert_eq!(settings.client_auth, ClientAuth::None);
    assert!(settings.prefer_server_order && !settings.authenticates());
}

#[test_case("RequestClientCert", ClientAuth::Request ; "request")]
#[test_case("RequireAnyClientCert", ClientAuth::RequireAny ; "require any")]
#[test_case("RequireClientCert", ClientAuth::RequireAny ; "require any, as it was called once")]
#[test_case("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven ; "verify if given")]
#[test_case("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify ; "require and verify")]
fn kinds_of_client_authentication(name: &str, expected: ClientAuth) {
    let settings = tls(&format!("  client_auth_type: {name}\n  client_ca_file: ca.pem\n"));
    assert_eq!(settings.client_auth, expected);
    assert_eq!(settings.authenticates(), expected == ClientAuth::RequireAndVerify);
}

#[test_case("  client_auth_type: RequireAndVerifyClientCert\n", false ; "anybody's authority")]
#[test_case("  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n", true ; "anybody's authority, but a name")]
#[test_case("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a]\n", false ; "a name that nobody verified")]
fn only_what_is_verified_counts_as_authentication(more: &str, expected: bool) {
    assert_eq!(tls(more).authenticates(), expected);
}

#[test]
fn suites_of_tls_1_3_are_always_there_and_the_others_in_the_order_given() {
    let settings = tls(
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
    );
    let expected = [
        "TLS13_AES_256_GCM_SHA384",
        "TLS13_AES_128_GCM_SHA256",
        "TLS13_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ];
    assert_eq!(suites(&settings), expected);
}

#[test_case("  min_version: TLS10\n", 2, "line 4: tls_server_config.min_version: this TLS library does not offer TLS10, which is left out; write TLS12 or TLS13" ; "an old version")]
#[test_case("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n", 2, "line 4: tls_server_config.cipher_suites: this TLS library does not offer TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, which is left out; remove it from the list" ; "an old suite beside a good one")]
#[test_case("  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n", 1, "line 4: tls_server_config.cipher_suites: this TLS library does not offer TLS_RSA_WITH_AES_128_CBC_SHA, which is left out; remove it from the list" ; "old suites only")]
#[test_case("  curve_preferences: [CurveP521, X25519]\n", 2, "line 4: tls_server_config.curve_preferences: this TLS library does not offer CurveP521, which is left out; remove it from the list" ; "a curve")]
#[test_case("  client_auth_type: RequireAndVerifyClientCert\n", 2, "line 1: tls_server_config: client certificates of every public authority that the system trusts are accepted; write client_ca_file, or client_allowed_sans" ; "no authority of one's own")]
fn stricter_than_asked_is_accepted_with_a_warning(more: &str, versions: usize, warning: &str) {
    let settings = parsed(&format!("{PAIR}{more}"));
    assert_eq!(settings.warnings, [warning]);
    assert_eq!(settings.tls.expect("TLS").versions.len(), versions);
}

#[test]
fn without_a_certificate_there_is_no_tls_and_a_warning() {
    let settings = parsed("tls_server_config: {min_version: TLS13}");
    assert!(settings.tls.is_none());
    let expected = "line 1: tls_server_config: there is no certificate, so TLS stays off and the other settings have no effect; write cert_file and key_file, or remove the section";
    assert_eq!(settings.warnings, [expected]);
}

#[test]
fn the_file_counts_before_what_is_inline() {
    let settings = parsed("tls_server_config: {cert: x, cert_file: c.pem, key: y, key_file: ''}").tls;
    let settings = settings.expect("TLS");
    assert!(matches!(settings.cert.place, Place::File(_)));
    assert!(matches!(settings.key.place, Place::Inline(_)));
    assert!(!format!("{settings:?}").contains('y'.to_string().repeat(2).as_str()));
}

#[test]
fn headers_users_and_rate() {
    let text = format!(
        "http_server_config:\n  http2: off\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: ''\n    \
         Content-Security-Policy: >\n      default-src 'self';\n      img-src *\nbasic_auth_users:\n  a: {HASH}\n  \
         1: {HASH}\nrate_limit: {{interval: 500ms, burst: 3}}\n"
    );
    let settings = parsed(&text);
    let headers: Vec<_> =
        settings.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    assert!(headers.contains(&("x-frame-options", "deny")));
    assert!(headers.contains(&("content-security-policy", "default-src 'self'; img-src *")));
    assert_eq!(headers.len(), 2);
    assert_eq!(settings.users.keys().collect::<Vec<_>>(), ["1", "a"]);
    assert_eq!(settings.rate, Some(Rate { interval: std::time::Duration::from_millis(500), burst: 3 }));
}

#[test_case("bogus: 1", "line 1: there is no key `bogus` here; known are basic_auth_users, http_server_config, rate_limit, tls_server_config" ; "an unknown section")]
#[test_case("basic_auth_users: {}\n---\nx", "line 3: a second document begins here; remove the line --- and what follows it" ; "two documents")]
#[test_case("basic_auth_users:\n  a: x\n  a: y\n", "line 3: the key `a` appears twice in one section; remove one, or begin a new entry of a list with `- `" ; "a user twice")]
#[test_case("rate_limit: {interval: 1, burst: 2}", "line 1: rate_limit.interval: \"1\": write a duration with its unit, such as 1s or 500ms" ; "an interval without a unit")]
#[test_case("rate_limit: {interval: 1s}", "line 1: rate_limit.burst: must be at least 1: how many requests may come at once" ; "no burst")]
#[test_case("tls_server_config:\n  client_allowed_sans: [a]\n", "line 2: tls_server_config.client_allowed_sans: there is no certificate, and so no TLS; write cert_file and key_file" ; "names without TLS")]
#[test_case("http_server_config: {http2: 'true'}", "line 1: http_server_config.http2: must be true or false, not a text; write it without quotes" ; "a quoted boolean")]
fn what_cannot_be_served_is_refused_with_its_line(text: &str, expected: &str) {
    assert_eq!(refused(text), expected);
}

#[test_case("  min_version: TLS13\n  max_version: TLS12\n", "line 5: tls_server_config.max_version: no version from min_version to max_version can be offered; there are TLS12 and TLS13" ; "no version between")]
#[test_case("  max_version: TLS11\n", "line 4: tls_server_config.max_version: no version from min_version to max_version can be offered; there are TLS12 and TLS13" ; "old versions only")]
#[test_case("  max_version: TLS12\n  cipher_suites:\n    - TLS_RSA_WITH_AES_128_CBC_SHA\n", "line 6: tls_server_config.cipher_suites: none of them can be offered in TLS12; add one such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" ; "old suites and no TLS 1.3")]
#[test_case("  curve_preferences: [CurveP521]\n", "line 4: tls_server_config.curve_preferences: CurveP521 cannot be offered; add X25519, CurveP256 or CurveP384" ; "a curve alone")]
#[test_case("  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: []\n", "line 5: tls_server_config.client_allowed_sans: an empty list lets no client in; name one, or leave the key out" ; "no name")]
#[test_case("  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [a]\n", "line 5: tls_server_config.client_allowed_sans: clients may come without a certificate; write client_auth_type: RequireAndVerifyClientCert" ; "names of those who need none")]
fn what_tls_cannot_do_is_refused_with_its_line(more: &str, expected: &str) {
    assert_eq!(refused(&format!("{PAIR}{more}")), expected);
}

#[test]
fn all_mistakes_at_once_and_no_secret() {
    let text = "\
tls_server_config:
  cert_file: c.pem
  client_auth_type: Verify
  min_version: SSL3
  cipher_suites:
    - TLS_NONSENSE
http_server_config:
  headers:
    Server: mine
    X-Frame-Options: DENY
basic_auth_users:
  a: hunter2
";
    let expected = "\
line 2: tls_server_config: the private key is missing; write key_file or key
line 3: tls_server_config.client_auth_type: must be NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert, not \"Verify\"
line 4: tls_server_config.min_version: must be TLS10, TLS11, TLS12 or TLS13, not \"SSL3\"
line 6: tls_server_config.cipher_suites[0]: must be TLS_AES_128_GCM_SHA256, ";
    let refused = refused(text);
    assert!(refused.starts_with(expected), "{refused}");
    assert!(refused.contains("\nline 9: http_server_config.headers.Server: this header cannot be set; these can: Content-Security-Policy, "), "{refused}");
    assert!(refused.contains("\nline 10: http_server_config.headers.X-Frame-Options: must be deny or sameorigin, not \"DENY\"\n"), "{refused}");
    assert!(refused.contains("\nline 12: basic_auth_users.a: the value is no bcrypt hash"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}

/// A file that says everything that a file can say.
const EVERYTHING: &str = "tls_server_config:
  cert_file: c.pem
  key_file: k.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [\"a.example.org\"]
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  min_version: TLS12
http_server_config:
  http2: true
  headers: {X-Frame-Options: deny}
basic_auth_users:
  admin: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
rate_limit: {interval: 1m30s, burst: 3}
";

proptest! {
    #![proptest_config(jitsi_inputs::cases(300))]

    #[test]
    fn a_mutated_file_is_valid_or_names_its_lines(text in jitsi_inputs::mutated_text(vec![EVERYTHING, PAIR])) {
        match parse(&text, Path::new("/etc/web")) {
            Ok(settings) => {
                for hash in settings.users.values() {
                    prop_assert!(text.contains("$2y$"), "{hash:?} stands nowhere in {text}");
                }
                prop_assert!(settings.rate.is_none_or(|rate| rate.burst >= 1 && !rate.interval.is_zero()));
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty(), "refused without a reason: {text}");
                let lines = u64::try_from(text.split(['\n', '\r']).count()).expect("a number");
                for problem in problems {
                    prop_assert!(problem.line <= lines + 1, "{problem} in {text}");
                    prop_assert!(!problem.text.is_empty());
                    // The name of an unknown key is shown, whatever it holds.
                    let is_value = text.contains(": $2y$10$X0h1gDsPszWURQaxFh");
                    let is_shown = problem.to_string().contains("X0h1gDsPszWURQaxFh");
                    prop_assert!(!is_value || !is_shown, "a hash is shown: {problem}");
                }
            }
        }
    }

    #[test]
    fn intervals_are_sums_of_their_parts(parts in vec((0..10_000u32, 0..8usize), 1..5)) {
        let units = [("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000),
            ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000_u64)];
        let text: String = parts.iter().map(|(number, unit)| format!("{number}{}", units[*unit].0)).collect();
        let sum: u64 = parts.iter().map(|(number, unit)| u64::from(*number) * units[*unit].1).sum();
        let read = interval::parse(&text).expect("a duration").as_secs_f64();
        let expected = Duration::from_nanos(sum).as_secs_f64();
        prop_assert!((read - expected).abs() <= expected * 1e-9 + 1e-9, "{text}: {read} s instead of {expected} s");
    }

    #[test]
    fn other_intervals_are_refused_or_read(text in jitsi_inputs::mutated_text(vec!["1m30.5s", "0", "+250ms", "7µs"])) {
        let _any = interval::parse(&text);
    }
}

/// Far more than a debug build needs on a busy computer, and far less than work that grows faster than the file.
const LINEAR: Duration = Duration::from_secs(20);

#[test]
fn no_file_takes_long() {
    let start = tokio::time::Instant::now();
    for bytes in jitsi_inputs::long(64 * 1024) {
        let _any = parse(&String::from_utf8_lossy(&bytes), Path::new("/etc/web")).map(|_| ());
    }
    assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
}
