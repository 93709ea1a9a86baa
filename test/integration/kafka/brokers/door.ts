/** The variable that says where `global-setup.ts` listens. */
export const DOOR = 'LANDFALL_TEST_BROKERS_DOOR';
