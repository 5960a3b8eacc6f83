import { Task } from './task.js';

/** The entities that MikroORM knows. `signalbox make:model` adds to them. */
export const entities = [Task];
