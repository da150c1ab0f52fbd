//! Runs scripts with Lua 5.1, which is the version of Redis.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mlua::{Error, Function, IntoLuaMulti, Lua, MultiValue, Table, Value as LuaValue, Variadic};
use redis_link::redis::{Script, Value};

use super::keyspace::Keyspace;
use super::{Answer, number, text};

/// The scripts that the server knows, by the hashes of their code.
pub(crate) struct Scripts {
    lua: Lua,
    known: BTreeMap<String, Function>,
}

impl Scripts {
    /// Creates a Lua whose `redis.call` and `redis.pcall` use these keys. Its `pcall` returns the text of an
    /// error, as that of Redis does.
    pub(crate) fn new(keyspace: Arc<Mutex<Keyspace>>) -> Self {
        let lua = Lua::new();
        let library = || {
            let redis = lua.create_table()?;
            let keys = Arc::clone(&keyspace);
            redis.set(
                "call",
                lua.create_function(move |lua, words: Variadic<LuaValue>| {
                    let answer = keys.lock().unwrap().execute(&arguments(&words)?);
                    to_lua(lua, answer.map_err(Error::runtime)?)
                })?,
            )?;
            redis.set(
                "pcall",
                lua.create_function(move |lua, words: Variadic<LuaValue>| {
                    let answer = keyspace.lock().unwrap().execute(&arguments(&words)?);
                    match answer {
                        Ok(value) => to_lua(lua, value),
                        Err(text) => labelled(lua, "err", &text),
                    }
                })?,
            )?;
            lua.globals().set("redis", redis)?;
            let pcall = |lua: &Lua, (run, words): (Function, MultiValue)| match run
                .call::<MultiValue>(words)
            {
                Ok(mut values) => {
                    values.push_front(LuaValue::Boolean(true));
                    Ok(values)
                }
                Err(error) => (false, said(&error)).into_lua_multi(lua),
            };
            lua.globals().set("pcall", lua.create_function(pcall)?)?;
            let library = lua.create_table()?;
            library.set("pack", lua.create_function(pack)?)?;
            library.set("unpack", lua.create_function(unpack)?)?;
            lua.globals().set("struct", library)
        };
        library().expect("a new Lua has room");
        Self { lua, known: BTreeMap::new() }
    }

    pub(crate) fn flush(&mut self) {
        self.known.clear();
    }

    /// Carries out `EVALSHA`.
    pub(crate) fn run_known(&self, words: &[Vec<u8>]) -> Answer {
        match self.known.get(text(&words[1])) {
            Some(script) => self.call(script, &words[2..]),
            None => Err("NOSCRIPT No matching script. Please use EVAL.".into()),
        }
    }

    /// Carries out `EVAL`.
    pub(crate) fn run(&mut self, words: &[Vec<u8>]) -> Answer {
        let hash = Script::new(text(&words[1])).get_hash().to_owned();
        let script = self.lua.load(&words[1][..]).into_function().map_err(|error| said(&error))?;
        self.known.insert(hash, script.clone());
        self.call(&script, &words[2..])
    }

    fn call(&self, script: &Function, words: &[Vec<u8>]) -> Answer {
        let keys: usize = number(&words[0])?;
        let (keys, arguments) = words[1..].split_at(keys);
        let table = |words: &[Vec<u8>]| {
            let strings = words.iter().map(|word| self.lua.create_string(word));
            self.lua.create_sequence_from(strings.collect::<mlua::Result<Vec<_>>>()?)
        };
        let run = || {
            self.lua.globals().set("KEYS", table(keys)?)?;
            self.lua.globals().set("ARGV", table(arguments)?)?;
            script.call::<LuaValue>(())
        };
        run().map_err(|error| said(&error)).and_then(from_lua)
    }
}

/// Returns what the command or the script said about its error.
fn said(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, .. } => said(cause),
        Error::RuntimeError(text) => text.clone(),
        error => format!("ERR {error}"),
    }
}

fn arguments(words: &[LuaValue]) -> mlua::Result<Vec<Vec<u8>>> {
    words.iter().map(argument).collect()
}

fn argument(word: &LuaValue) -> mlua::Result<Vec<u8>> {
    match word {
        LuaValue::String(text) => Ok(text.as_bytes().to_vec()),
        LuaValue::Integer(number) => Ok(number.to_string().into_bytes()),
        LuaValue::Number(number) => Ok(number.to_string().into_bytes()),
        _ => Err(Error::runtime("ERR Lua redis lib command arguments must be strings or integers")),
    }
}

/// Returns the sizes of the numbers in a format of the library `struct`, such as `>I2I4`: big-endian, unsigned.
fn sizes(format: &str) -> mlua::Result<Vec<usize>> {
    let unknown = || Error::runtime(format!("ERR the model does not know the format {format}"));
    let numbers = format.strip_prefix(">I").ok_or_else(unknown)?;
    numbers.split('I').map(|size| size.parse().map_err(|_| unknown())).collect()
}

fn pack(lua: &Lua, (format, numbers): (String, Variadic<f64>)) -> mlua::Result<mlua::LuaString> {
    let mut bytes = Vec::new();
    for (size, number) in sizes(&format)?.into_iter().zip(numbers.iter()) {
        bytes.extend_from_slice(&(*number as u64).to_be_bytes()[8 - size..]);
    }
    lua.create_string(bytes)
}

/// Returns the numbers, and the position behind them.
fn unpack(_: &Lua, (format, bytes): (String, mlua::LuaString)) -> mlua::Result<Variadic<f64>> {
    let (bytes, mut at, mut numbers) = (bytes.as_bytes(), 0, Vec::new());
    for size in sizes(&format)? {
        let number =
            bytes.get(at..at + size).ok_or_else(|| Error::runtime("ERR data string too short"))?;
        numbers.push(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) as f64);
        at += size;
    }
    numbers.push((at + 1) as f64);
    Ok(numbers.into_iter().collect())
}

fn to_lua(lua: &Lua, value: Value) -> mlua::Result<LuaValue> {
    match value {
        Value::Nil => Ok(LuaValue::Boolean(false)),
        Value::Int(number) => Ok(LuaValue::Number(number as f64)),
        Value::BulkString(bytes) => lua.create_string(bytes).map(LuaValue::String),
        Value::Okay => labelled(lua, "ok", "OK"),
        Value::SimpleString(text) => labelled(lua, "ok", &text),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| to_lua(lua, value));
            let values = values.collect::<mlua::Result<Vec<_>>>()?;
            lua.create_sequence_from(values).map(LuaValue::Table)
        }
        other => Err(Error::runtime(format!("ERR the model does not reply with {other:?}"))),
    }
}

fn labelled(lua: &Lua, label: &str, text: &str) -> mlua::Result<LuaValue> {
    let table = lua.create_table()?;
    table.set(label, text)?;
    Ok(LuaValue::Table(table))
}

fn from_lua(value: LuaValue) -> Answer {
    Ok(match value {
        LuaValue::String(text) => Value::BulkString(text.as_bytes().to_vec()),
        LuaValue::Integer(number) => Value::Int(number),
        LuaValue::Number(number) => Value::Int(number as i64),
        LuaValue::Boolean(true) => Value::Int(1),
        LuaValue::Table(table) => return from_table(&table),
        _ => Value::Nil,
    })
}

fn from_table(table: &Table) -> Answer {
    if let Ok(Some(text)) = table.get::<Option<String>>("err") {
        return Err(text);
    }
    if let Ok(Some(text)) = table.get::<Option<String>>("ok") {
        return Ok(if text == "OK" { Value::Okay } else { Value::SimpleString(text) });
    }
    // An array ends at its first nil.
    let values = table.sequence_values::<LuaValue>();
    let values = values.map(|value| from_lua(value.map_err(|error| said(&error))?));
    values.collect::<Result<Vec<_>, _>>().map(Value::Array)
}
