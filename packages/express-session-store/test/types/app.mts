import express from 'express'
import session from 'express-session'
import { Cluster, Redis } from 'ioredis'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { createClient as createClient6, createCluster as createCluster6, createSentinel as createSentinel6 } from 'redis-6'
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis-6'
import { type AccountSession, RedisStore, type RedisStoreOptions, SessionStoreError } from 'merging-session-store'

declare module 'express-session' {
  interface SessionData {
    user?: { id: number }
    views?: number
  }
}

const clients: Array<RedisStoreOptions['client']> = [
  createClient(),
  createClientPool(),
  createCluster({ rootNodes: [] }),
  createSentinel({ name: 'main', sentinelRootNodes: [] }),
  createClient6(),
  createCluster6({ rootNodes: [] }),
  createSentinel6({ name: 'main', sentinelRootNodes: [] }),
  new Redis({ lazyConnect: true }),
  new Cluster([], { lazyConnect: true }),
  new Redis6({ lazyConnect: true }),
  new Cluster6([], { lazyConnect: true })
]

const store = new RedisStore({
  client: createClient(),
  prefix: 'app:',
  ttl: (data) => data.user ? 3600 : 60,
  disableTTL: false,
  disableTouch: false,
  scanCount: 50,
  serializer: JSON,
  touchAfter: 0.5,
  absoluteTimeout: 86400,
  ignoreCorrupt: false,
  failIfGone: true,
  counters: ['views'],
  timeout: 500,
  account: (data) => data.user?.id,
  accountPrefix: 'of:',
  allAreIndexed: true
})
store.on('gone', () => {}).on('indexError', (error) => console.error(error))

const app = express()
app.use(session({ secret: 'keyboard cat', resave: false, saveUninitialized: false, store }))
app.get('/', (req, res, next) => {
  req.session.views = (req.session.views ?? 0) + 1
  req.session.save((error) => error ? next(error) : res.send('OK'))
})

export async function use (): Promise<AccountSession | undefined> {
  const data = await store.get('id')
  const user: number | undefined = data?.user?.id
  await store.set('id', { cookie: new session.Cookie(), user: { id: 1 } })
  store.destroy('id', (error) => { if (error instanceof SessionStoreError) console.log(error.code, user) })
  const ended: number = await store.endOthers('1', 'id') + await store.endAll('1')
  const found: boolean = await store.end('1', store.handle('id'))
  console.log(ended, found, await store.reindex(), await store.length(), clients.length)
  // @ts-expect-error: there is no such option
  new RedisStore({ client: createClient(), touchafter: 1 })
  // @ts-expect-error: a client is required
  new RedisStore({})
  return (await store.list('1'))[0]
}
