import 'reflect-metadata';
import { stopSharedPostgres } from './postgres.js';

// As an application's own specs have it: no line for each request.
process.env['NODE_ENV'] = 'test';

export const mochaHooks: Mocha.RootHookObject = {
  async afterAll() {
    // A worker of `mocha --parallel` runs this after each of its files, and knows no last one: its server ends with it.
    if (process.env['MOCHA_WORKER_ID'] === undefined) await stopSharedPostgres();
  },
};
