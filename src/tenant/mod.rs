//! One tenant's protocol.
