import 'reflect-metadata';
import { stopSharedPostgres } from './postgres.js';

// As an application's own specs have it: no line for each request.
process.env['NODE_ENV'] = 'test';

export const mochaHooks: Mocha.RootHookObject = {
  async afterAll() {
    await stopSharedPostgres();
  },
};
