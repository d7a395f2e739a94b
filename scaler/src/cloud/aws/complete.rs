//! Accepts only complete answers of a bounded size.
//!
//! The SDK reads XML as far as it comes, and takes 0 for a number that is missing: an answer that was cut short would
//! pass for a group without instances, tags or bounds. It also reads an answer of any size.

use aws_sdk_autoscaling::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextMut,
};
use aws_sdk_autoscaling::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_autoscaling::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// The most bytes of an answer: a hundred groups of 150 instances each. The SDK takes six times as much to read it.
const LARGEST_ANSWER: usize = 8 << 20;
/// The path of a group below the two outer elements of an answer.
const GROUP: [&str; 2] = ["AutoScalingGroups", "member"];
/// What every group has.
const REQUIRED: [&str; 4] = ["AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity"];

/// Turns an incomplete answer into an error of its call.
#[derive(Debug)]
pub(super) struct CompleteAnswers;

/// What an answer lacks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Incomplete {
    #[error("the answer could not be read to its end, or has more than {} MiB", LARGEST_ANSWER >> 20)]
    Unread,
    #[error("the answer ends before its closing element")]
    Cut,
    #[error("a group in the answer has no {0}")]
    Lacks(&'static str),
}

impl Intercept for CompleteAnswers {
    fn name(&self) -> &'static str {
        "CompleteAnswers"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = std::mem::replace(context.response_mut().body_mut(), SdkBody::taken());
        *context.response_mut().body_mut() = SdkBody::from_body_1_x(Limited::new(body, LARGEST_ANSWER));
        Ok(())
    }

    // Before this, the SDK has not read the body.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if response.status().is_success() {
            check(response.body().bytes().ok_or(Incomplete::Unread)?)?;
        }
        Ok(())
    }
}

/// Checks that every element of `body` is closed, and that every group has what is required.
fn check(body: &[u8]) -> Result<(), Incomplete> {
    let text = std::str::from_utf8(body).map_err(|_| Incomplete::Cut)?;
    let mut open: Vec<&str> = Vec::new();
    let mut has_root = false;
    let mut lacking: Vec<&'static str> = Vec::new();
    for token in Tokenizer::from(text) {
        match token.map_err(|_| Incomplete::Cut)? {
            Token::ElementStart { local, .. } => {
                has_root = true;
                let parents = open.get(2..).unwrap_or_default();
                if parents == GROUP {
                    lacking.retain(|required| *required != local.as_str());
                } else if parents == [GROUP[0]] {
                    lacking = REQUIRED.to_vec();
                }
                open.push(local.as_str());
            }
            Token::ElementEnd { end: ElementEnd::Open, .. } => {}
            Token::ElementEnd { end, .. } => {
                if open.get(2..) == Some(&GROUP)
                    && let Some(missing) = lacking.first()
                {
                    return Err(Incomplete::Lacks(missing));
                }
                let opened = open.pop();
                if let ElementEnd::Close(_, local) = end
                    && opened != Some(local.as_str())
                {
                    return Err(Incomplete::Cut);
                }
            }
            _ => {}
        }
    }
    if has_root && open.is_empty() { Ok(()) } else { Err(Incomplete::Cut) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
  <DescribeAutoScalingGroupsResult>
    <AutoScalingGroups>
      <member>
        <AutoScalingGroupName>prod</AutoScalingGroupName>
        <MinSize>1</MinSize>
        <MaxSize>6</MaxSize>
        <DesiredCapacity>4</DesiredCapacity>
        <WarmPoolConfiguration><MinSize>2</MinSize></WarmPoolConfiguration>
        <Instances/>
        <Tags><member><Key>jitsi-scaler/paused</Key><Value>é &amp; more</Value></member></Tags>
      </member>
    </AutoScalingGroups>
  </DescribeAutoScalingGroupsResult>
  <ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>
</DescribeAutoScalingGroupsResponse>"#;

    #[test]
    fn an_answer_that_is_cut_at_any_byte_is_refused() {
        assert_eq!(check(ANSWER.as_bytes()), Ok(()));
        assert_eq!(check(format!("{ANSWER}\n").as_bytes()), Ok(()));
        for end in 0..ANSWER.len() {
            assert_eq!(check(&ANSWER.as_bytes()[..end]), Err(Incomplete::Cut), "{end} bytes");
        }
    }

    #[test_case("<AutoScalingGroupName>prod</AutoScalingGroupName>", "AutoScalingGroupName"; "name")]
    #[test_case("<MinSize>1</MinSize>", "MinSize"; "minimum, although its warm pool has one")]
    #[test_case("<MaxSize>6</MaxSize>", "MaxSize"; "maximum")]
    #[test_case("<DesiredCapacity>4</DesiredCapacity>", "DesiredCapacity"; "desired capacity")]
    fn a_group_that_lacks_a_number_or_its_name_is_refused(element: &str, name: &'static str) {
        let answer = ANSWER.replace(element, "");
        assert_eq!(check(answer.as_bytes()), Err(Incomplete::Lacks(name)));
        // A whole group before it does not make up for it.
        let (_, rest) = ANSWER.split_once("<member>").expect("a group");
        let (group, _) = rest.split_once("</AutoScalingGroups>").expect("the end of the groups");
        let answer =
            answer.replacen("<AutoScalingGroups>", &format!("<AutoScalingGroups><member>{group}"), 1);
        assert_eq!(check(answer.as_bytes()), Err(Incomplete::Lacks(name)));
    }

    #[test_case("<SetDesiredCapacityResponse><ResponseMetadata/></SetDesiredCapacityResponse>", true; "a change")]
    #[test_case("<SetDesiredCapacityResponse/>", true; "an empty element")]
    #[test_case("", false; "nothing")]
    #[test_case("<a><b></a>", false; "an element that is not closed")]
    fn other_answers_have_all_their_elements(answer: &str, complete: bool) {
        assert_eq!(check(answer.as_bytes()).is_ok(), complete);
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn a_mutated_answer_is_refused_or_whole(
            body in jitsi_inputs::mutated(vec![ANSWER.as_bytes().to_vec()]),
            cut in any::<prop::sample::Index>(),
        ) {
            if check(&body).is_err() {
                return Ok(());
            }
            let text = std::str::from_utf8(&body).expect("text");
            prop_assert!(text.contains('<'), "{text}");
            // None of its beginnings is whole, up to the end of its last element.
            let last = text.rfind("</").into_iter().chain(text.rfind("/>")).max().expect("an end");
            if !text.contains("<!") && !text.contains("<?x", ) {
                prop_assert!(check(&body[..cut.index(last + 1)]).is_err(), "{text}");
            }
            let groups = text.matches("<AutoScalingGroupName>").count();
            prop_assert!(groups == 0 || text.contains("<MaxSize"), "{text}");
        }
    }

    /// Far more than a debug build needs on a busy computer, and far less than work that grows faster than the answer.
    const LINEAR: std::time::Duration = std::time::Duration::from_secs(20);

    #[test]
    fn no_answer_takes_long() {
        let start = tokio::time::Instant::now();
        let entities = format!(
            "<!DOCTYPE a [{}]><a>{}</a>",
            "<!ENTITY a \"&a;&a;\">".repeat(20_000),
            "&a;".repeat(100_000)
        );
        for body in jitsi_inputs::long(512 * 1024).into_iter().chain([entities.into_bytes()]) {
            let _any = check(&body);
        }
        assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
    }
}
