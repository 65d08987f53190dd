//! Subscriptions that a sender asks to confirm before it sends: Amazon SNS's.
//!
//! The address in the body is never fetched. The one that is follows from the topic, which configuration names.
//! Sources: Amazon SNS's action `ConfirmSubscription`; its developer guide on names (ARNs) of topics and on hosts.

/// A subscription to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The address to fetch, made from topic and token.
    pub url: String,
    /// The topic.
    pub topic: String,
}

/// Amazon's tokens have some 300 digits.
const LONGEST_TOKEN: usize = 2048;
/// Longest name of a topic that Amazon SNS allows.
const LONGEST_TOPIC: usize = 256;
const LONGEST_REGION: usize = 32;

/// The subscription of `topic` (an ARN) that `token` confirms. None when one of them is not what Amazon SNS makes.
pub(crate) fn confirmation(topic: &str, token: &str) -> Option<Subscription> {
    let host = topic_host(topic)?;
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    // All else that a topic's name can have stands for itself in a query.
    let encoded = topic.replace(':', "%3A");
    let query = format!("Action=ConfirmSubscription&Version=2010-03-31&TopicArn={encoded}&Token={token}");
    Some(Subscription { url: format!("https://{host}/?{query}"), topic: topic.to_owned() })
}

/// The host by which Amazon SNS is reached for a topic, `arn:aws:sns:<region>:<account>:<name>`. None when the text is
/// not such a name.
pub(crate) fn topic_host(topic: &str) -> Option<String> {
    let parts: Vec<&str> = topic.split(':').collect();
    let ["arn", partition, "sns", region, account, name] = parts.as_slice() else { return None };
    let in_china = match *partition {
        "aws" | "aws-us-gov" => false,
        "aws-cn" => true,
        _ => return None,
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let named = !name.is_empty() && name.len() <= LONGEST_TOPIC && name.bytes().all(letter);
    let right = named && is_account(account) && is_region(region) && is_in_china(region) == in_china;
    right.then(|| format!("sns.{region}.{}", domain(region)))
}

/// What the names of Amazon's hosts end with in a region.
pub(crate) fn domain(region: &str) -> &'static str {
    if is_in_china(region) { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn is_in_china(region: &str) -> bool {
    region.starts_with("cn-")
}

/// Whether a text is written like a region, `us-east-1`, `us-gov-west-1`: words of letters, then a number. Stricter
/// than host names are, because `sns.s3-us-west-2.amazonaws.com` would be a bucket that anybody may own.
pub(crate) fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= LONGEST_REGION
        && words.contains('-')
        && words.split('-').all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is the number of an account at Amazon.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:ecr-pushes";

    #[test]
    fn the_address_follows_from_topic_and_token_alone() {
        let found = confirmation(TOPIC, "2336412f37fb687f").unwrap();
        assert_eq!(found.topic, TOPIC);
        assert_eq!(
            found.url,
            "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Version=2010-03-31\
             &TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3Aecr-pushes&Token=2336412f37fb687f"
        );
        let found = confirmation("arn:aws-cn:sns:cn-north-1:123456789012:ecr", "a").unwrap();
        assert!(found.url.starts_with("https://sns.cn-north-1.amazonaws.com.cn/?Action="), "{}", found.url);
    }

    #[test]
    fn a_token_is_letters_and_digits() {
        for bad in ["", "a b", "a&TopicArn=b", "a%26", "a/b", "a#", "é", &"a".repeat(2049)] {
            assert_eq!(confirmation(TOPIC, bad), None, "{bad}");
        }
    }

    #[test]
    fn only_names_of_topics_have_a_host() {
        for (topic, host) in [
            (TOPIC, "sns.us-east-1.amazonaws.com"),
            ("arn:aws:sns:ap-southeast-2:123456789012:a_B-3", "sns.ap-southeast-2.amazonaws.com"),
            ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a", "sns.us-gov-west-1.amazonaws.com"),
            ("arn:aws-cn:sns:cn-northwest-1:123456789012:a", "sns.cn-northwest-1.amazonaws.com.cn"),
        ] {
            assert_eq!(topic_host(topic).as_deref(), Some(host), "{topic}");
        }
        for topic in [
            "",
            "arn",
            "arn:aws:sqs:us-east-1:123456789012:a",
            "arn:aws:sns:us-east-1:123456789012",
            "arn:aws:sns:us-east-1:123456789012:a:b",
            "arn:aws:sns:us-east-1:123456789012:",
            "arn:aws:sns:us-east-1:123456789012:a&b",
            "arn:aws:sns:us-east-1:123456789012:a.b",
            "arn:aws:sns:us-east-1:12345678901:a",
            "arn:aws:sns:us-east-1:12345678901x:a",
            "arn:aws:sns::123456789012:a",
            "arn:aws:sns:us-east-1.evil.example/:123456789012:a",
            "arn:aws:sns:s3-us-west-2:123456789012:a",
            "arn:aws:sns:us--1:123456789012:a",
            "arn:aws:sns:us-1:123456789012:a",
            "arn:aws:sns:US-EAST-1:123456789012:a",
            "arn:aws:sns:cn-north-1:123456789012:a",
            "arn:aws-cn:sns:us-east-1:123456789012:a",
            "arn:aws-other:sns:us-east-1:123456789012:a",
            " arn:aws:sns:us-east-1:123456789012:a",
        ] {
            assert_eq!(topic_host(topic), None, "{topic}");
        }
    }
}
