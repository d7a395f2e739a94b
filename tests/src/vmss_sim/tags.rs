//! Tags: their limits, and the write of single ones.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::ArmError;

/// The most tags of a resource.
const TAGS: usize = 50;
/// The longest name, in characters.
const NAME: usize = 512;
/// The longest value, in characters.
const VALUE: usize = 256;
/// What a name must not contain.
const FORBIDDEN: [char; 7] = ['<', '>', '%', '&', '\\', '?', '/'];
/// What a name must not begin with.
const RESERVED: [&str; 3] = ["microsoft", "azure", "windows"];

type Tags = BTreeMap<String, String>;

/// A write of single tags.
#[derive(Debug, Clone, Deserialize)]
pub struct TagChange {
    /// What becomes of the tags.
    pub operation: TagOperation,
    /// The tags.
    pub properties: TagProperties,
}

/// The tags of a write.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TagProperties {
    /// Values by name; of a deletion only the names count.
    #[serde(default)]
    pub tags: BTreeMap<String, Option<String>>,
}

/// What becomes of the tags of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TagOperation {
    /// These are written, others stay.
    Merge,
    /// These are removed.
    Delete,
    /// These replace all others.
    Replace,
}

impl TagChange {
    /// The tags after this change.
    pub(super) fn applied(&self, before: &Tags) -> Result<Tags, ArmError> {
        let mut after = if self.operation == TagOperation::Replace { Tags::new() } else { before.clone() };
        for (name, value) in &self.properties.tags {
            // Names are compared without case.
            after.retain(|known, _| !known.eq_ignore_ascii_case(name));
            if self.operation != TagOperation::Delete {
                after.insert(name.clone(), value.clone().unwrap_or_default());
            }
        }
        check(&after)?;
        Ok(after)
    }
}

/// Whether Azure accepts these tags.
pub(super) fn check(tags: &Tags) -> Result<(), ArmError> {
    let refuse = |code: &str, message: String| Err(ArmError::new(400, code, message));
    if tags.len() > TAGS {
        return refuse(
            "TagCountExceededLimit",
            format!("The number of tags {} exceeds the limit of {TAGS}.", tags.len()),
        );
    }
    for (name, value) in tags {
        let lower = name.to_lowercase();
        if name.contains(FORBIDDEN) {
            let message = format!(
                "The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters."
            );
            return refuse("InvalidTagNameCharacters", message);
        }
        if name.is_empty() || name.chars().count() > NAME || RESERVED.iter().any(|it| lower.starts_with(it)) {
            return refuse(
                "InvalidTagName",
                format!("The tag name '{name}' is empty, too long or reserved."),
            );
        }
        if value.chars().count() > VALUE {
            return refuse("InvalidTagValueLength", format!("The value of the tag '{name}' is too long."));
        }
    }
    Ok(())
}
