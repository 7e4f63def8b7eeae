//! Graphics cards of this machine, as far as this build can see them.

/// A graphics card, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// A card that answers, with its name and driver.
    Ready(String),
    /// Nothing usable, and what to do about it.
    Missing(String),
}

/// NVIDIA cards, through their driver.
#[cfg(feature = "cuda")]
pub fn nvidia() -> Vec<Card> {
    use cudarc::driver::{CudaContext, sys};

    #[expect(unsafe_code, reason = "the driver library is loaded at run time")]
    // SAFETY: loads the driver library if it is there, as every later call would; NVIDIA's library may be
    // loaded at any time on any thread. Asked first because making a context panics without it.
    let is_driver_present = unsafe { sys::is_culib_present() };
    if !is_driver_present {
        let advice = "no driver found (libcuda); on a machine with such a card install NVIDIA's driver";
        return vec![Card::Missing(advice.to_owned())];
    }
    match CudaContext::device_count() {
        Err(error) => vec![Card::Missing(crate::cuda::no_cards(error).to_string())],
        Ok(0) => vec![Card::Missing("the driver is there, but no card answers: see `nvidia-smi`".to_owned())],
        Ok(n_cards) => (0..n_cards as usize)
            .map(|i| match CudaContext::new(i).and_then(|card| card.name()) {
                Ok(name) => Card::Ready(name),
                Err(error) => Card::Missing(format!("card {i} cannot be opened: {error}")),
            })
            .collect(),
    }
}

/// NVIDIA cards, which this build does not look for.
#[cfg(not(feature = "cuda"))]
pub fn nvidia() -> Vec<Card> {
    vec![Card::Missing("not in this build: build with the feature `cuda`".to_owned())]
}

/// Cards that Vulkan, Metal or DirectX 12 offer.
#[cfg(feature = "wgpu")]
pub fn others() -> Vec<Card> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let cards = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    if cards.is_empty() {
        let advice = "no graphics driver found; on Debian: apt install mesa-vulkan-drivers";
        return vec![Card::Missing(advice.to_owned())];
    }
    let describe = |card: wgpu::Adapter| {
        let info = card.get_info();
        Card::Ready(format!("{} ({}, {})", info.name, info.backend, info.driver_info))
    };
    cards.into_iter().map(describe).collect()
}

/// Cards that this build does not look for.
#[cfg(not(feature = "wgpu"))]
pub fn others() -> Vec<Card> {
    vec![Card::Missing("not in this build: build with the feature `wgpu`".to_owned())]
}
