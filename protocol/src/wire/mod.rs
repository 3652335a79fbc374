//! The native protocol on the wire: headers, requests, responses (v3 and v4).
