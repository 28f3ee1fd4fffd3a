import { cn } from "@/lib/cn";

interface Props {
  checked: boolean;
  onChange: (checked: boolean) => void;
  className?: string;
  "aria-label": string;
}

/** Yes or no; the place to click is larger than the box. */
export function Checkbox({ checked, onChange, className, ...named }: Props) {
  return (
    <label className={cn("-m-2 flex shrink-0 p-2", className)}>
      <input
        {...named}
        type="checkbox"
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
        className="size-5 cursor-pointer rounded accent-accent"
      />
    </label>
  );
}
