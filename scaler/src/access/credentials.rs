//! What a person must do about credentials and addresses of AWS, by what the SDK says and by what the environment holds.
//!
//! The SDK names its own parts, and not what is wrong with the environment that it read.

/// A variable of the environment, if it is set.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Why there are no credentials, and the remedy; `causes` is what the SDK says.
pub(crate) fn missing(causes: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let is_set = |name: &str| variable(name).is_some();
    let profile = variable("AWS_PROFILE");
    if causes.contains("enabled: sso") || causes.contains("enabled: credentials-login") {
        let profile = profile.map(|profile| format!(" --profile {profile}")).unwrap_or_default();
        return format!(
            "the AWS profile signs in by a browser (single sign-on), which this program does not; put its credentials into the \
             environment: eval \"$(aws configure export-credentials{profile} --format env)\""
        );
    }
    for (name, other) in
        [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")]
    {
        if is_set(name) && !is_set(other) {
            return format!("{name} is set without {other}; set both, or neither");
        }
    }
    if let Some(name) = undefined_profile(causes) {
        return format!(
            "there is no AWS profile \"{name}\"; correct AWS_PROFILE or source_profile: `aws configure list-profiles` names them \
             all, and those of another user are in another ~/.aws"
        );
    }
    for name in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
        if let Some(path) = variable(name)
            && let Err(error) = std::fs::File::open(&path)
        {
            return format!("there are no AWS credentials; {name} is {path}, which cannot be read: {error}");
        }
    }
    // The last that the SDK asks is the metadata service of an instance.
    let is_silent = causes.contains("communicate with IMDS") || causes.contains("IMDS session token");
    if is_silent || causes.contains("no credentials found in chain") || causes.contains("IMDS") {
        let silent = if is_silent {
            "; the metadata service of EC2 does not answer here: in a container on EC2 it needs --http-put-response-hop-limit 2"
        } else {
            ""
        };
        return format!(
            "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the \
             instance, the container or the service account a role{silent}"
        );
    }
    if causes.contains("sts:AssumeRole") {
        return format!(
            "{causes}; the trust policy of the role must name these credentials, and their own policy must allow the call"
        );
    }
    let from = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "check that file and AWS_ROLE_ARN"),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "check the role of the container and the agent at that address",
        ),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "check the role of the task"),
        ("AWS_PROFILE", "check that profile: `aws sts get-caller-identity` uses it, too"),
    ];
    let from =
        from.iter().find_map(|(name, remedy)| Some(format!("{name} is {}; {remedy}", variable(name)?)));
    format!("{causes}; {}", from.as_deref().unwrap_or(RENEW))
}

/// What helps where AWS refuses the credentials themselves.
pub(crate) const RENEW: &str = "give or renew credentials by the environment, a profile, a web identity, or the role of the container or instance";

/// The profile that the SDK did not find.
fn undefined_profile(causes: &str) -> Option<&str> {
    let (name, rest) = causes.split_once("profile `")?.1.split_once('`')?;
    rest.starts_with(" was not defined").then_some(name)
}

/// What helps where AWS takes the time of a request for wrong.
pub(crate) const CLOCK: &str = "correct the clock of this host: sudo timedatectl set-ntp true";

/// What to do about the address of AWS, which failed with `status` if it did answer.
pub(crate) fn endpoint(status: Option<u16>, variable: impl Fn(&str) -> Option<String>) -> String {
    let named = ["AWS_ENDPOINT_URL_AUTO_SCALING", "AWS_ENDPOINT_URL"];
    let named = named.iter().find_map(|name| Some((*name, variable(name)?)));
    match named {
        Some((name, address)) if status.is_some_and(|status| status >= 500) => {
            format!("{name} is {address}; correct it if nothing works there, else what serves it lacks this call")
        }
        Some((name, address)) if address.starts_with("http://") || address.starts_with("https://") => {
            format!("{name} is {address}; correct it, or unset it to use AWS' own")
        }
        Some((name, address)) => {
            format!(
                "{name} is {address}; it must begin with http:// or https://, or be unset to use AWS' own"
            )
        }
        None => "check that the region exists, the network, proxies (HTTPS_PROXY, NO_PROXY) and endpoint_url of the AWS profile"
            .to_owned(),
    }
}
