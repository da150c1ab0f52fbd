import { SessionData, Store } from 'express-session'

/** A client of node-redis 5 or 6: `createClient`, `createClientPool`, `createSentinel` or `createCluster`. */
export interface NodeRedisClient {
  sendCommand (...args: any[]): Promise<any>
  withTypeMapping (mapping: any): any
}

/** A client of ioredis 5 or 6: `Redis` or `Cluster`. */
export interface IORedisClient {
  callBuffer (...args: any[]): Promise<any>
  readonly status: string
}

export interface Serializer {
  parse (text: string): SessionData | Promise<SessionData>
  stringify (session: SessionData): string | Promise<string>
}

export interface RedisStoreOptions {
  /** The client, which the application connects and closes. */
  client: NodeRedisClient | IORedisClient
  /** The prefix of all keys. Default: `sess:`. */
  prefix?: string
  /** The time to live in seconds of sessions whose cookie has no `expires`, or a function that returns that of any session. Default: 86400. */
  ttl?: number | ((session: SessionData) => number)
  /** Keeps sessions without a time to live. Default: false. */
  disableTTL?: boolean
  /** Never restarts the time to live of a session that did not change. Default: false. */
  disableTouch?: boolean
  /** The number of keys that Redis examines in one step of a scan. Default: 100. */
  scanCount?: number
  /** Converts sessions to text and back. Default: `JSON`. */
  serializer?: Serializer
  /** The part of its lifetime after which a session is touched, from 0 (each request) to 1 (never). Default: 0.1. */
  touchAfter?: number
  /** The number of seconds after its creation at which a session ends, even if it is in use. Default: never. */
  absoluteTimeout?: number
  /** Treats a stored value that is no session as no session. With `false`, `get` fails. Default: true. */
  ignoreCorrupt?: boolean
  /** Makes `set` fail with the code `GONE` if the session has ended. Default: false. */
  failIfGone?: boolean
  /** The names of attributes with numbers to which parallel requests add. Default: none. */
  counters?: string[]
  /** The number of milliseconds that the store waits for Redis. Default: 1000. */
  timeout?: number
  /** The attribute that names the account of a session, with dots for nested ones, or a function. Default: no index. */
  account?: string | ((session: SessionData) => string | number | undefined | null)
  /** The prefix of the keys of the index. Default: `accounts:` and the prefix. */
  accountPrefix?: string
  /** States that every session is in the index, so that `endAll` and `endOthers` do not scan. Default: false. */
  allAreIndexed?: boolean
}

/** A session of an account, as its owner may see it. */
export interface AccountSession {
  /** The public name of the session. The id cannot be computed from it. */
  handle: string
  /** When it was created or found, in milliseconds since 1970. */
  createdMs: number
  /** When it was last in use, as precisely as sessions are touched, in milliseconds since 1970. */
  lastSeenMs: number
  /** The User-Agent header, at most 256 characters; empty if unknown. */
  device: string
  /** `req.ip`; empty if unknown. */
  address: string
}

export type ErrorCode = 'UNAVAILABLE' | 'FORBIDDEN' | 'GONE' | 'CONFLICT' | 'CORRUPT' | 'ACCOUNT' | 'STORE'

/** An error of the store. It never contains the id or the content of a session. */
export class SessionStoreError extends Error {
  readonly code: ErrorCode
  /** 503 for `UNAVAILABLE`: Express uses it as the status of its response. */
  readonly status?: number
  constructor (code: ErrorCode, message: string, cause?: unknown)
}

type Callback<T> = (error: unknown, result?: T) => void

/**
 * Keeps sessions in Redis. Without a callback each method returns a promise of the result; with one, the promise only
 * tells that the callback will be called.
 */
export class RedisStore extends Store {
  readonly client: NodeRedisClient | IORedisClient
  readonly prefix: string

  constructor (options: RedisStoreOptions)

  get (sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null>
  set (sid: string, session: SessionData, callback?: Callback<null>): Promise<null>
  touch (sid: string, session: SessionData, callback?: Callback<null>): Promise<null>
  destroy (sid: string, callback?: Callback<null>): Promise<null>
  length (callback?: Callback<number>): Promise<number>
  ids (callback?: Callback<string[]>): Promise<string[]>
  all (callback?: Callback<Array<SessionData & { id: string }>>): Promise<Array<SessionData & { id: string }>>
  clear (callback?: Callback<null>): Promise<null>

  /** Gives the account's indexed sessions that are alive, the newest first. */
  list (account: string | number, callback?: Callback<AccountSession[]>): Promise<AccountSession[]>
  /** Ends one session of an account. Gives whether the account has a session with this handle. */
  end (account: string | number, handle: string, callback?: Callback<boolean>): Promise<boolean>
  /** Ends all sessions of an account except one. Gives the number of ended sessions. */
  endOthers (account: string | number, sid: string, callback?: Callback<number>): Promise<number>
  /** Ends all sessions of an account. Gives the number of ended sessions. */
  endAll (account: string | number, callback?: Callback<number>): Promise<number>
  /** Indexes all stored sessions. Gives the number of those that have an account. */
  reindex (callback?: Callback<number>): Promise<number>
  /** Returns the handle of a session. */
  handle (sid: string): string

  /** `gone`: a save or a touch found that its session has ended. `merge`: a save met the change of another writer. `corrupt`: a stored value is no session. */
  on (event: 'gone' | 'merge' | 'corrupt' | 'connect' | 'disconnect', listener: () => void): this
  /** A session could not be indexed under its account, or the function `account` failed. */
  on (event: 'indexError', listener: (error: unknown) => void): this
  on (event: string | symbol, listener: (...args: any[]) => void): this
}
