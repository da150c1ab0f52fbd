import store from './index.js'

export const { RedisStore, SessionStoreError } = store
