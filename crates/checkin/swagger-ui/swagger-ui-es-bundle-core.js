// The page of the API uses swagger-ui-bundle.js.
