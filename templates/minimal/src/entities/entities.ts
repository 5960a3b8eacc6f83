import { Task } from './task.js';

/** What MikroORM is told of. `signalbox make:model` adds to it. */
export const entities = [Task];
