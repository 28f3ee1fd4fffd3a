import { useId } from "react";

interface Props {
  label: string;
  /** What it does. */
  help: string;
  value: number;
  /** The value as the reader writes numbers. */
  shown: string;
  min: number;
  max: number;
  step: number;
  onChange: (value: number) => void;
}

/** A number one turns rather than types. */
export function Slider({ label, help, value, shown, min, max, step, onChange }: Props) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1">
      <div className="flex items-baseline justify-between gap-3 text-sm">
        <label htmlFor={id} className="font-medium">
          {label}
        </label>
        <output htmlFor={id}>{shown}</output>
      </div>
      <input
        id={id}
        type="range"
        {...{ value, min, max, step }}
        aria-valuetext={shown}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.target.valueAsNumber)}
        className="h-6 w-full cursor-pointer accent-accent"
      />
      <p id={`${id}-help`} className="text-xs leading-relaxed text-muted">
        {help}
      </p>
    </div>
  );
}
