/** Types that exist while compiling only. */
export interface Shape {
  room: number;
}

/** A class, which `import type` takes the run time from. */
export class ImportedAsType {
  room!: number;
}
