//! What people sign in with, and what is sent about them, as `sign_in_input.rs` and `user_input.rs` read
//! it.

use utoipa::ToSchema;

use crate::domain::user::Role;

/// By an e-mail address and a password, or by a key.
#[derive(ToSchema)]
#[schema(as = SignIn)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInBody {
    /// The user's.
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    email: Option<String>,
    /// Beside `email`.
    #[schema(nullable = false)]
    password: Option<String>,
    /// A key, and nothing beside it.
    #[schema(nullable = false)]
    key: Option<String>,
}

/// The first user.
#[derive(ToSchema)]
#[schema(as = SetUp)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetupBody {
    /// From the link that the relay printed.
    token: String,
    /// By which the user signs in.
    #[schema(max_length = 254, format = Email)]
    email: String,
    /// For people; by default the address.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Whatever characters; neither the address nor the name.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
}

/// An invitation that is taken.
#[derive(ToSchema)]
#[schema(as = TakeInvitation)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvitationBody {
    /// From its link.
    token: String,
    /// For people; by default as it was.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Whatever characters; neither the address nor the name.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
}

/// A change of one's own password.
#[derive(ToSchema)]
#[schema(as = NewPassword)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPasswordBody {
    /// The one until now.
    current: String,
    /// From now on: whatever characters; neither the address nor the name.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
}

/// A new user.
#[derive(ToSchema)]
#[schema(as = NewUser)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUserBody {
    /// By which they sign in; in whichever letters, it is one. It never changes.
    #[schema(max_length = 254, format = Email)]
    email: String,
    /// For people; by default the address.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    role: Role,
    /// Without one the user is invited.
    #[schema(min_length = 12, max_length = 256)]
    password: Option<String>,
}

/// A change of a user: what is given is merged in.
#[derive(ToSchema)]
#[schema(as = UserChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserChangeBody {
    /// For people.
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    role: Option<Role>,
    /// Whether they are kept out; their sessions end.
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// A password that an administrator sets, or none: then a link is made.
#[derive(ToSchema)]
#[schema(as = UserPassword)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPasswordBody {
    /// Without one the user sets it, by a link.
    #[schema(min_length = 12, max_length = 256)]
    password: Option<String>,
}
