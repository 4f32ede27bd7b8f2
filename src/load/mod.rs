//! The load test: the real engine against many tenants, and the figures of how it went.
//!
//! It embeds the engine as any host would and knows nothing of its insides. Tenants are mock tenants, its own or
//! somebody's; what they saw is asked of them, what the engine did is read from its progress. Nothing here prints.
