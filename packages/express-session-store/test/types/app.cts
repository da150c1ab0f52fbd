import session = require('express-session')
import { createClient } from 'redis'
import { RedisStore } from 'merging-session-store'

export const middleware = session({ secret: 'keyboard cat', store: new RedisStore({ client: createClient() }) })
