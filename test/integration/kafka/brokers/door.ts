/** The environment variable with the URL of the server in `global-setup.ts`. */
export const DOOR = 'LANDFALL_TEST_BROKERS_DOOR';
