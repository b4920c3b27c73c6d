//! Who asks, as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// The name in the audit record.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: &'static str,
    /// How they are known: `loopback`, `token`, `session` or `certificate`.
    pub by: &'static str,
    /// Until when that holds; absent: for as long as they ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A token to be exchanged for a session.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The token; without it that of the field `Authorization` counts.
    pub token: Option<String>,
}

impl std::fmt::Debug for Login {
    // Not the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}
