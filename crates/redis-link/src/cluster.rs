//! Requests to a cluster.
//!
//! While a slot moves, a node may refuse only some of the commands of a pipeline, and the client crate
//! does not tell which. So several commands are a transaction: if one of them is refused, none is
//! carried out, and all can be sent again.

use std::io;

use redis::aio::ConnectionLike as _;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::{Cmd, FromRedisValue as _, Pipeline, RedisError, Value};

use crate::cause::kind;
use crate::error::ErrorKind;
use crate::reply::Reply;
use crate::request::{Request, command};
use crate::scan::primaries;
use crate::tracking::View;

/// Sends a request to the primary of its keys.
pub(crate) async fn send(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
) -> Result<Value, RedisError> {
    if let Request::One(command) = request {
        return connection.req_packed_command(command).await;
    }
    let pipeline = transaction(Pipeline::new(), request);
    let count = pipeline.len();
    let replies = connection.req_packed_commands(&pipeline, 0, count).await?;
    Ok(reply(request, replies))
}

/// Sends a request to a node that is getting the slot of its keys, and would refuse it otherwise.
pub(crate) async fn ask(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
    (host, port): (&str, u16),
) -> Result<Value, RedisError> {
    let mut pipeline = Pipeline::new();
    // It is valid for one command, or for one transaction.
    pipeline.cmd("ASKING");
    match request {
        Request::One(command) => drop(pipeline.add_command((*command).clone())),
        _ => pipeline = transaction(pipeline, request),
    }
    let (count, host) = (pipeline.len(), host.to_owned());
    let node = SingleNodeRoutingInfo::ByAddress { host, port };
    let mut replies = connection.route_pipeline(pipeline, 0, count, node).await?;
    match request {
        Request::One(_) => Ok(replies.pop().unwrap_or(Value::Nil)),
        _ => Ok(reply(request, replies.split_off(1))),
    }
}

/// Sends a command to the primary of a slot.
pub(crate) async fn send_to(
    connection: &mut ClusterConnection,
    command: Cmd,
    slot: Slot,
) -> Result<Value, RedisError> {
    let primary = SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
    connection.route_command(command, RoutingInfo::SingleNode(primary)).await
}

/// Checks that the connection has each primary. If one is missing, the client crate sends its commands to
/// any other node, which refuses them, and then delays all commands while it tries to connect to it.
pub(crate) async fn is_complete(connection: &mut ClusterConnection) -> Result<(), RedisError> {
    let ranges = connection.req_packed_command(&command(&[b"CLUSTER", b"SLOTS"])).await?;
    for slot in primaries(Reply::from(ranges)).unwrap_or_default().into_values() {
        let Some(primary) = Slot::new(slot) else { continue };
        let answer = send_to(connection, command(&[b"CLUSTER", b"NODES"]), primary).await;
        let is_missing = match answer.and_then(|text| Ok(String::from_redis_value(text)?)) {
            Ok(nodes) => View::parse(&nodes).is_none_or(|view| !view.slots.contains(slot)),
            Err(cause) if kind(&cause) == ErrorKind::Unavailable => return Err(cause),
            // The login may not ask.
            Err(_) => false,
        };
        if is_missing {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        }
    }
    Ok(())
}

fn transaction(mut pipeline: Pipeline, request: &Request<'_>) -> Pipeline {
    pipeline.cmd("MULTI");
    for command in request.commands() {
        pipeline.add_command(command);
    }
    pipeline.cmd("EXEC");
    // In a transaction, this command would not wait.
    if let Some(wait) = request.wait() {
        pipeline.add_command(wait.clone());
    }
    pipeline
}

/// Returns the replies to the commands of a transaction, or those with the error that prevented it.
fn reply(request: &Request<'_>, mut replies: Vec<Value>) -> Value {
    if replies.iter().any(|reply| matches!(reply, Value::ServerError(_))) {
        return Value::Array(replies);
    }
    let waited = request.wait().and_then(|_| replies.pop());
    match replies.pop() {
        Some(Value::Array(mut carried_out)) => {
            carried_out.extend(waited);
            Value::Array(carried_out)
        }
        other => other.unwrap_or(Value::Nil),
    }
}
