import 'reflect-metadata';
import { stopSharedPostgres } from './postgres.js';

export const mochaHooks: Mocha.RootHookObject = {
  async afterAll() {
    await stopSharedPostgres();
  },
};
