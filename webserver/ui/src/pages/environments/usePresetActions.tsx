/** What superadmins do with resource presets. */
import { useTranslation } from 'react-i18next'
import { createPreset, deletePreset, modifyPreset, type ResourcePreset } from '../../api/presets'
import { confirm } from '../../parts/confirm'
import { openForm } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { slotFields, slotsOf, slotValues, type SlotValues } from '../../parts/slotFields'
import { useAct } from '../../parts/useAct'
import { useChoices } from '../../parts/useChoices'

const TOUCHED = [['presets'], ['room']]
const BLANK: ResourcePreset = { name: '', slots: { cpu: '1', mem: String(2 ** 30) }, sharedMemory: null }

type Form = Omit<ResourcePreset, 'slots'> & SlotValues

export function usePresetActions() {
  const { t } = useTranslation()
  const withChoices = useChoices()
  const create = useAct<ResourcePreset>({ act: createPreset, done: ({ name }) => t('admin.created', { name }), touches: TOUCHED })
  const modify = useAct<ResourcePreset>({ act: modifyPreset, done: t('admin.saved'), touches: TOUCHED })
  const remove = useAct<string>({ act: deletePreset, done: (name) => t('admin.deleted', { name }), touches: TOUCHED })
  const ask = (title: string, { slots, ...rest }: ResourcePreset, submit: string, act: (preset: ResourcePreset) => Promise<unknown>) => withChoices((choices) =>
    openForm<Form>(title, {
      fields: [
        { name: 'name', label: t('admin.name'), kind: 'text', isRequired: true, isDisabled: rest.name !== '' },
        ...(slotFields(choices.slots, slots) as []),
        { name: 'sharedMemory', label: t('launch.shmem'), hint: t('presets.shmemHint'), kind: 'bytes' },
      ],
      initial: { ...slotValues(slots), ...rest } as Form, submit,
      onSubmit: (values) => act({ name: values.name, sharedMemory: values.sharedMemory, slots: slotsOf(values) }),
    }))
  const askNew = () => ask(t('presets.create'), BLANK, t('action.create'), create.mutateAsync)
  const deedsOf = (preset: ResourcePreset): Deed[] => [
    { label: t('action.modify'), onClick: () => ask(t('admin.modifyTitle', { name: preset.name }), preset, t('action.save'), modify.mutateAsync) },
    {
      label: t('action.delete'), isDanger: true,
      onClick: () => confirm({ title: t('admin.deleteTitle', { name: preset.name }), message: t('presets.deleteHint'), confirm: t('action.delete'), onConfirm: () => remove.mutateAsync(preset.name).catch(() => undefined) }),
    },
  ]
  return { askNew, deedsOf }
}
