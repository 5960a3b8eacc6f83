/** A type as it is to be written: expanded, without the names that the server's sources give to its parts. */
export type Shape = TextShape | ListShape | TupleShape | CompositeShape | ObjectShape | Recurrence;

/** A keyword or a literal. */
export interface TextShape {
  readonly kind: 'text';
  readonly text: string;
}

export interface ListShape {
  readonly kind: 'list';
  readonly readonly: boolean;
  readonly item: Shape;
}

export interface TupleShape {
  readonly kind: 'tuple';
  readonly readonly: boolean;
  readonly items: readonly TupleItem[];
}

export interface TupleItem {
  readonly mark: '' | '?' | '...';
  readonly shape: Shape;
}

/** The members of a union are in no order. */
export interface CompositeShape {
  readonly kind: 'union' | 'intersection';
  readonly members: readonly Shape[];
}

export interface ObjectShape {
  readonly kind: 'object';
  readonly properties: readonly Property[];
}

export interface Property {
  /** As it is written: an identifier, a quoted text, or `[key: string]` of an index signature. */
  readonly name: string;
  readonly readonly: boolean;
  readonly optional: boolean;
  /** The lines of its comment. */
  readonly comment: readonly string[];
  readonly shape: Shape;
}

/** Once more the object inside which this stands. */
export interface Recurrence {
  readonly kind: 'recurrence';
  of(): ObjectShape;
}
