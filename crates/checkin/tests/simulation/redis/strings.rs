//! The commands of strings.

use redis_link::redis::Value;

use super::keyspace::{Content, Keyspace, kind};
use super::{Answer, bulk_or_nil, name, not_modelled, number};

kind!(Vec<u8> = Text, |text| text.is_empty());

pub(crate) fn execute(
    keys: &mut Keyspace,
    command: &str,
    key: &[u8],
    arguments: &[Vec<u8>],
) -> Answer {
    match (command, arguments) {
        ("GET", []) => Ok(bulk_or_nil(keys.get::<Vec<u8>>(key)?.map(Vec::as_slice))),
        ("SET", [value]) => set(keys, key, value, None),
        ("SET", [value, unit, time]) if name(std::slice::from_ref(unit)) == "PX" => {
            set(keys, key, value, Some(number(time)?))
        }
        ("PSETEX", [time, value]) => set(keys, key, value, Some(number(time)?)),
        ("INCR", []) => keys.change::<Vec<u8>, _>(key, |text| {
            let value = if text.is_empty() { 0 } else { number::<i64>(text)? } + 1;
            *text = value.to_string().into_bytes();
            Ok(Value::Int(value))
        }),
        // The probe of an outage, which changes nothing.
        ("SETRANGE", [_, value]) if value.is_empty() => {
            Ok(Value::Int(keys.get::<Vec<u8>>(key)?.map_or(0, Vec::len) as i64))
        }
        _ => not_modelled(&[&[command.into(), key.to_vec()], arguments].concat()),
    }
}

fn set(keys: &mut Keyspace, key: &[u8], value: &[u8], lifetime_ms: Option<u64>) -> Answer {
    let expires_ms = lifetime_ms.map(|lifetime| keys.now_ms() + lifetime);
    keys.set(key, Content::Text(value.to_vec()), expires_ms);
    Ok(Value::Okay)
}
