//! `basic_auth_users`: checks user names and passwords.
//!
//! A bcrypt comparison takes tens of milliseconds by design, so its results are cached under a keyed hash of user,
//! password and stored hash; no password stays in memory. Matches and mismatches are cached separately, so that a flood
//! of guesses does not evict the scrapers' entries. One comparison runs at a time, and each client address has its own
//! queue. A flood therefore uses at most one core, and a scraper at another address waits for two comparisons at most.
//!
//! An unknown user costs as much time as a known one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{hmac, rand::SystemRandom};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use prometheus_client::metrics::counter::Counter;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use tokio::sync::Semaphore;
use tokio::task;

/// Cached matches, and cached mismatches. There are as many matches as users, and no file has a thousand; mismatches are
/// cached only so that a scraper with an old password stays cheap.
const MAX_VERDICTS: usize = 1024;

/// The IPv6 prefix that is usually assigned to one customer.
const SITE: Ipv6Addr = Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0);

/// A hash without a known password. Only its cost matters.
const DECOY: &str = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

/// A well-formed bcrypt hash.
#[derive(Clone)]
pub(crate) struct PasswordHash {
    text: Arc<SecretString>,
    cost: u32,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash(cost {})", self.cost)
    }
}

/// Why a text is not a usable bcrypt hash. The text may be a password, so the error does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    #[error(
        "the value is no bcrypt hash, which begins with $2y$ and has 60 characters: \
         create one with htpasswd -nBC 10 USER, and write what follows the colon"
    )]
    Form,
    #[error("the cost of the hash is {0}: use 10, or another from 4 to 31")]
    Cost(u32),
}

impl PasswordHash {
    pub(crate) fn parse(text: &str) -> Result<Self, HashError> {
        let cost = text.parse::<HashParts>().map_err(|_| HashError::Form)?.get_cost();
        if !(4..=31).contains(&cost) {
            return Err(HashError::Cost(cost));
        }
        Ok(Self { text: Arc::new(text.into()), cost })
    }

    fn decoy(cost: u32) -> Self {
        Self { text: Arc::new(format!("$2y${cost:02}${DECOY}").into()), cost }
    }

    fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The users that may log in; at least one.
#[derive(Debug)]
pub(crate) struct Users {
    hashes: BTreeMap<String, PasswordHash>,
    /// Hashes for unknown users: one for each user, with the same cost.
    decoys: Vec<PasswordHash>,
}

impl Users {
    /// `None` if there are no users, which turns authentication off.
    pub(crate) fn new(hashes: BTreeMap<String, PasswordHash>) -> Option<Self> {
        let decoys: Vec<_> = hashes.values().map(|hash| PasswordHash::decoy(hash.cost)).collect();
        (!decoys.is_empty()).then_some(Self { hashes, decoys })
    }
}

struct Credentials {
    user: Vec<u8>,
    password: SecretSlice<u8>,
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        let (scheme, encoded) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = STANDARD.decode(encoded).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some(Self { user: decoded[..colon].to_vec(), password: decoded[colon + 1..].to_vec().into() })
    }
}

/// The user who sent a request: an extension of every request that had the password of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(pub String);

impl User {
    /// The name that a request gives. Its password has been checked before.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        String::from_utf8(Credentials::of(headers)?.user).ok().map(Self)
    }
}

type Digest = [u8; 32];

/// The most recently inserted digests. Searching all of them takes a fraction of the time that a request takes.
#[derive(Debug, Default)]
struct Recent(VecDeque<Digest>);

impl Recent {
    fn insert(&mut self, digest: Digest) {
        if self.0.contains(&digest) {
            return;
        }
        if self.0.len() == MAX_VERDICTS {
            self.0.pop_front();
        }
        self.0.push_back(digest);
    }
}

#[derive(Debug, Default)]
struct Results {
    matches: Recent,
    mismatches: Recent,
}

/// Checks passwords and caches the results.
#[derive(Debug)]
pub(crate) struct Logins {
    /// Generated for the first password: the library's first random bytes take a tenth of a second, which a program without
    /// users and TLS would lose at its start.
    key: LazyLock<hmac::Key>,
    results: Mutex<Results>,
    /// Held by the one comparison that runs.
    running: Arc<Semaphore>,
    queues: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    checked: Counter,
}

impl Logins {
    /// Counts the bcrypt comparisons in `checked`.
    pub(crate) fn new(checked: Counter) -> Self {
        let generate = || {
            let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
            key.expect("the system provides random bytes")
        };
        Self {
            key: LazyLock::new(generate),
            results: Mutex::default(),
            running: Arc::new(Semaphore::new(1)),
            queues: Mutex::default(),
            checked,
        }
    }

    /// Whether the request has the name and the password of one of `users`.
    pub(crate) async fn admits(&self, users: &Users, headers: &HeaderMap, peer: IpAddr) -> bool {
        let Some(credentials) = Credentials::of(headers) else { return false };
        let known = str::from_utf8(&credentials.user).ok().and_then(|user| users.hashes.get(user));
        let hash = known.unwrap_or_else(|| self.decoy(users, &credentials.user));
        let digest =
            self.digest(&[&credentials.user, credentials.password.expose_secret(), hash.text().as_bytes()]);
        let matches = match self.cached(&digest) {
            Some(matches) => matches,
            None => self.compare(digest, credentials.password, hash.clone(), peer).await,
        };
        matches && known.is_some()
    }

    /// A user always gets the same decoy, so that repeated requests reveal nothing.
    fn decoy<'u>(&self, users: &'u Users, user: &[u8]) -> &'u PasswordHash {
        let [first, second, ..] = self.digest(&[user]);
        let number = usize::from(u16::from_le_bytes([first, second]));
        &users.decoys[number % users.decoys.len()]
    }

    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self, digest: &Digest) -> Option<bool> {
        let results = self.results();
        if results.matches.0.contains(digest) {
            return Some(true);
        }
        results.mismatches.0.contains(digest).then_some(false)
    }

    async fn compare(
        &self,
        digest: Digest,
        password: SecretSlice<u8>,
        hash: PasswordHash,
        peer: IpAddr,
    ) -> bool {
        let queue = Queue::enter(self, peer);
        let _first_of_its_address = queue.turn.acquire().await.expect("the semaphore is never closed");
        let running = self.running.clone().acquire_owned().await.expect("the semaphore is never closed");
        // The same request may have been answered while this one waited.
        if let Some(matches) = self.cached(&digest) {
            return matches;
        }
        self.checked.inc();
        let run = task::spawn_blocking(move || {
            // The comparison is counted as running until it ends, even if its request is cancelled.
            let _running = running;
            bcrypt::verify(password.expose_secret(), hash.text()).unwrap_or(false)
        });
        let Ok(matches) = run.await else { return false };
        let mut results = self.results();
        let kind = if matches { &mut results.matches } else { &mut results.mismatches };
        kind.insert(digest);
        matches
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Semaphore>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place in the queue of its address. The last one removes the queue.
struct Queue<'l> {
    logins: &'l Logins,
    site: IpAddr,
    turn: Arc<Semaphore>,
}

impl<'l> Queue<'l> {
    fn enter(logins: &'l Logins, peer: IpAddr) -> Self {
        let site = match peer.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(address & SITE),
            address @ IpAddr::V4(_) => address,
        };
        let turn = logins.queues().entry(site).or_insert_with(|| Arc::new(Semaphore::new(1))).clone();
        Self { logins, site, turn }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut queues = self.logins.queues();
        // Only the map and this request hold the semaphore. New references are made under the same lock.
        if Arc::strong_count(&self.turn) <= 2 {
            queues.remove(&self.site);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::collections::HashSet;
    use std::net::Ipv4Addr;
    use test_case::test_case;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn hash(password: &str) -> String {
        bcrypt::hash(password, 4).expect("a hash")
    }

    fn users(all: &[(&str, &str)]) -> Users {
        let hashes =
            all.iter().map(|(user, hash)| ((*user).to_owned(), PasswordHash::parse(hash).expect("a hash")));
        Users::new(hashes.collect()).expect("at least one user")
    }

    fn headers(user: &str, password: &str) -> HeaderMap {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        let value = HeaderValue::try_from(format!("Basic {encoded}")).expect("a header value");
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    fn logins() -> (Logins, Counter) {
        let checked = Counter::default();
        (Logins::new(checked.clone()), checked)
    }

    #[test_case("$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", Ok(10) ; "htpasswd")]
    #[test_case("$2a$04$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", Ok(4) ; "python")]
    #[test_case("$2b$31$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", Ok(31) ; "the highest cost")]
    #[test_case("$2y$03$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", Err(HashError::Cost(3)) ; "a cost too low")]
    #[test_case("$2y$32$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", Err(HashError::Cost(32)) ; "a cost too high")]
    #[test_case("$3y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", Err(HashError::Form) ; "a version that is not")]
    #[test_case("$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7", Err(HashError::Form) ; "cut off")]
    #[test_case("secret", Err(HashError::Form) ; "a password in clear")]
    #[test_case("", Err(HashError::Form) ; "nothing")]
    fn only_bcrypt_hashes_are_taken(text: &str, expected: Result<u32, HashError>) {
        assert_eq!(PasswordHash::parse(text).map(|hash| hash.cost), expected);
    }

    #[test_case(Some("Basic YTpi"), Some(("a", "b")) ; "plain")]
    #[test_case(Some("bAsIc YTpi"), Some(("a", "b")) ; "another case")]
    #[test_case(Some("Basic YTpiOmM="), Some(("a", "b:c")) ; "a colon in the password")]
    #[test_case(Some("Basic Og=="), Some(("", "")) ; "both empty")]
    #[test_case(Some("Basic YQ=="), None ; "no colon")]
    #[test_case(Some("Basic ???"), None ; "no base64")]
    #[test_case(Some("Basic"), None ; "the scheme only")]
    #[test_case(Some("Bearer YTpi"), None ; "another scheme")]
    #[test_case(None, None ; "absent")]
    fn credentials_are_read(value: Option<&'static str>, expected: Option<(&str, &str)>) {
        let value = value.map(|value| (AUTHORIZATION, HeaderValue::from_static(value)));
        let credentials = Credentials::of(&value.into_iter().collect());
        let got = credentials.map(|c| (c.user, c.password.expose_secret().to_vec()));
        assert_eq!(got, expected.map(|(user, password)| (user.into(), password.into())));
    }

    #[test_case("$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i" ; "as jBCrypt writes it")]
    #[test_case("$2b$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i" ; "as OpenBSD writes it")]
    #[test_case("$2y$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i" ; "as htpasswd writes it")]
    #[tokio::test]
    async fn hashes_that_others_made_are_understood(hash: &str) {
        let (logins, _) = logins();
        let users = users(&[("a", hash)]);
        assert!(logins.admits(&users, &headers("a", "abc"), HERE).await);
        assert!(!logins.admits(&users, &headers("a", "abcd"), HERE).await);
    }

    #[tokio::test]
    async fn each_answer_is_worked_out_once() {
        let (logins, checked) = logins();
        let users = users(&[("a", &hash("right")), ("b", &hash("other"))]);
        for (user, password, expected, runs) in [
            ("a", "right", true, 1),
            ("a", "right", true, 1),
            ("a", "wrong", false, 2),
            ("a", "wrong", false, 2),
            ("b", "right", false, 3),
            ("nobody", "right", false, 4),
            ("nobody", "right", false, 4),
            ("a", "right", true, 4),
        ] {
            let got = logins.admits(&users, &headers(user, password), HERE).await;
            assert_eq!((got, checked.get()), (expected, runs), "{user}:{password}");
        }
    }

    #[tokio::test]
    async fn a_new_hash_of_a_user_makes_the_old_verdict_void() {
        let (logins, _) = logins();
        let headers = headers("a", "old");
        assert!(logins.admits(&users(&[("a", &hash("old"))]), &headers, HERE).await);
        assert!(!logins.admits(&users(&[("a", &hash("new"))]), &headers, HERE).await);
        assert!(!logins.admits(&users(&[("b", &hash("old"))]), &headers, HERE).await);
    }

    #[tokio::test]
    async fn requests_that_come_together_are_compared_once() {
        let (logins, checked) = logins();
        let users = users(&[("a", &hash("right"))]);
        let headers = headers("a", "right");
        let admits = || logins.admits(&users, &headers, HERE);
        let all = tokio::join!(admits(), admits(), admits(), admits());
        assert_eq!((all, checked.get()), ((true, true, true, true), 1));
        assert!(logins.queues().is_empty());
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let (logins, _) = logins();
        let costly = "$2y$12$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
        let one_cost = users(&[("a", costly), ("b", costly)]);
        let two_costs = users(&[("a", costly), ("b", &hash("x"))]);
        let mut seen = HashSet::new();
        for number in 0..100 {
            let name = format!("nobody{number}").into_bytes();
            assert_eq!(logins.decoy(&one_cost, &name).cost, 12);
            let cost = logins.decoy(&two_costs, &name).cost;
            assert_eq!(logins.decoy(&two_costs, &name).cost, cost);
            seen.insert(cost);
        }
        assert_eq!(seen, HashSet::from([4, 12]));
        let decoy = logins.decoy(&one_cost, b"nobody");
        assert_eq!(PasswordHash::parse(decoy.text()).map(|hash| hash.cost), Ok(12));
    }

    #[tokio::test]
    async fn guesses_do_not_evict_users_that_have_logged_in() {
        let (logins, checked) = logins();
        let users = users(&[("a", &hash("right"))]);
        assert!(logins.admits(&users, &headers("a", "right"), HERE).await);
        for number in 0..=MAX_VERDICTS {
            let digest = logins.digest(&[&number.to_le_bytes()]);
            logins.results().mismatches.insert(digest);
        }
        assert_eq!(logins.results().mismatches.0.len(), MAX_VERDICTS);
        assert!(logins.admits(&users, &headers("a", "right"), HERE).await);
        assert_eq!(checked.get(), 1);
    }

    #[tokio::test]
    async fn a_scraper_waits_for_one_guess_of_a_flood_from_another_address() {
        let (logins, checked) = logins();
        let (logins, users) = (Arc::new(logins), Arc::new(users(&[("a", &hash("right"))])));
        // A comparison seems to run, so that the order of the waiting requests is known.
        let running = logins.running.clone().acquire_owned().await.expect("the semaphore is never closed");
        let guesses: Vec<_> = (0..20)
            .map(|number| {
                let (logins, users) = (logins.clone(), users.clone());
                tokio::spawn(async move {
                    logins.admits(&users, &headers("a", &format!("guess {number}")), HERE).await
                })
            })
            .collect();
        while logins.queues().get(&HERE).is_none_or(|queue| Arc::strong_count(queue) < 21) {
            task::yield_now().await;
        }
        let scraper = tokio::spawn({
            let (logins, users) = (logins.clone(), users.clone());
            let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
            async move { logins.admits(&users, &headers("a", "right"), elsewhere).await }
        });
        while logins.queues().len() < 2 {
            task::yield_now().await;
        }
        drop(running);
        assert!(scraper.await.expect("no panic"));
        // The scraper's comparison runs second; a few more may finish before this line runs.
        assert!(checked.get() <= 10, "{} before the scraper", checked.get());
        for guess in guesses {
            assert!(!guess.await.expect("no panic"));
        }
        assert!(logins.queues().is_empty());
    }

    #[test]
    fn no_hash_is_shown() {
        let hash = PasswordHash::parse(&hash("x")).expect("a hash");
        assert_eq!(format!("{hash:?}"), "PasswordHash(cost 4)");
    }
}
